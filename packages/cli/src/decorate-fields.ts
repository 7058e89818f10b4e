/** As much of a Babel AST and its API as is used here. */
interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}
interface Field extends Node {
  decorators?: readonly { readonly expression: Node }[] | null;
  readonly key: Node;
  readonly computed: boolean;
  readonly static: boolean;
}
interface ClassPath {
  readonly node: { readonly body: { body: Node[] } };
}
interface Babel {
  readonly template: {
    readonly statement: (code: string) => (nodes: Readonly<Record<string, Node>>) => Node;
  };
  readonly types: {
    arrayExpression(items: readonly Node[]): Node;
    staticBlock(body: readonly Node[]): Node;
    stringLiteral(value: string): Node;
  };
}

const DECORATE = `
  for (const decorate of DECORATORS.reverse()) decorate(TARGET, KEY);
`;

/**
 * A Babel plugin for jiti, whose own plugins cannot load a decorated field (unjs/jiti#367): class-validator and class-transformer live by
 * them. Calls the decorators as TypeScript does, from a static block, with the target and the key: what they return is ignored.
 */
export function decorateFields({ template, types }: Babel): object {
  const decorate = template.statement(DECORATE);
  const decorateClass = ({ node: { body } }: ClassPath): void => {
    const calls = body.body.filter(isDecoratedField).map((field) => {
      const decorators = types.arrayExpression((field.decorators ?? []).map(({ expression }) => expression));
      field.decorators = null;
      const target = template.statement(field.static ? 'this' : 'this.prototype')({});
      const key =
        field.computed || field.key.type !== 'Identifier' ? field.key : types.stringLiteral(String(field.key['name']));
      return decorate({ DECORATORS: decorators, TARGET: target['expression'] as Node, KEY: key });
    });
    if (calls.length > 0) body.body.push(types.staticBlock(calls));
  };
  return {
    // On the way in, as the decorators' own plugin changes classes when it meets them; after the plugin that adds types to decorators.
    visitor: { Program: (program: { traverse(visitor: object): void }) => program.traverse({ Class: decorateClass }) },
  };
}

function isDecoratedField(member: Node): member is Field {
  const { decorators } = member as Field;
  return member.type === 'ClassProperty' && Array.isArray(decorators) && decorators.length > 0;
}
