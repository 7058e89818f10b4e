import { Client } from 'pg';
import { serverUrl } from '../../test/support.js';
import { arrayLiteral } from './array-literal.js';

describe('arrayLiteral', () => {
  it('is read by PostgreSQL as the array it was made of', async () => {
    const texts = [
      '',
      'a',
      'NULL',
      'null',
      '{}',
      ',',
      ' a ',
      '"',
      '\\',
      '\\"',
      '"\\"\\\\',
      '\n\t',
      "'",
      '{"a":["\\u0000\\\\"]}',
      'é𝄞',
      null,
    ];
    const numbers = [0, -1, 2 ** 31 - 1, null];
    const client = new Client({ connectionString: serverUrl() });
    await client.connect();
    const { rows } = await client.query(
      'SELECT $1::text[] AS texts, $2::int[] AS numbers, $3::text[] AS none, $4::float8[] AS reals',
      [arrayLiteral(texts), arrayLiteral(numbers), arrayLiteral([]), arrayLiteral([0.1, 1e21, 1e-7, NaN, null])],
    );
    await client.end();
    expect(rows).toEqual([{ texts, numbers, none: [], reals: [0.1, 1e21, 1e-7, NaN, null] }]);
  });
});
