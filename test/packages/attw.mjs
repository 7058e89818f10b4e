// attw.mjs TARBALL…: what Are The Types Wrong finds in packages, as its command does, which loads TypeScript for each. Prints a JSON object: the problems of each tarball.
import { readFileSync } from 'node:fs';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';

/** @type {Record<string, readonly { readonly kind: string }[]>} */
const found = {};
for (const tarball of process.argv.slice(2)) {
  const checked = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball))));
  found[tarball] = checked.types === false ? [{ kind: 'NoTypes' }] : checked.problems;
}
process.stdout.write(JSON.stringify(found));
