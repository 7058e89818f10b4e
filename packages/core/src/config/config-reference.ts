import { CONFIG_PATHS, type ConfigPath, configKey, envNameOf } from './config-keys.js';

/** The table of all keys in docs/reference/configuration.md, as Markdown. */
export function renderConfigReference(): string {
  const heads = ['Key', 'In the environment', 'Takes', 'Default', 'Meaning', 'Celery’s nearest'];
  const rows = [heads, heads.map(() => '---'), ...CONFIG_PATHS.map(rowOf)];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function rowOf(path: ConfigPath): readonly string[] {
  const { short, inEnv, type, defaultText, doc, celery } = configKey(path);
  return [
    short === null ? code(path) : `${code(short)} or ${code(path)}`,
    inEnv ? code(envNameOf(short ?? path, 'LOVAGE')) : '—',
    type.expectation,
    defaultText === null ? 'unset' : code(defaultText),
    doc,
    celery === null ? '' : code(celery),
  ].map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' '));
}

function code(text: string): string {
  return `\`${text}\``;
}
