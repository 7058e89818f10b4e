import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CreateError } from './create-error.js';
import type { CreateIo } from './create-io.js';

const PACKAGE_MANAGERS = ['npm', 'pnpm', 'yarn', 'bun'] as const;

export type PackageManager = (typeof PACKAGE_MANAGERS)[number];

/** The package manager that started this process, as npm_config_user_agent has it (`pnpm/9.1.0 npm/? node/…`); npm if none did. */
export function packageManagerOf({ env }: CreateIo): PackageManager {
  const name = env['npm_config_user_agent']?.split('/')[0];
  return PACKAGE_MANAGERS.find((one) => one === name) ?? 'npm';
}

/**
 * Installs the dependencies of the project in a folder; what the package manager says goes to this process's own streams.
 *
 * @throws CreateError `failure` if it cannot be started or does not end well.
 */
export async function installDependencies(manager: PackageManager, folder: string, io: CreateIo): Promise<void> {
  const options = { cwd: folder, env: io.env, stdio: 'inherit' } as const;
  // On Windows they are scripts, which only a shell starts.
  const child = spawn(manager, ['install'], { ...options, shell: process.platform === 'win32' });
  const ended = await once(child, 'close').then(
    ([code, signal]) => (code === 0 ? null : `ended with ${String(code ?? signal)}`),
    (error: Error) => `could not be started: ${error.message}`,
  );
  if (ended === null) return;
  throw new CreateError(
    'failure',
    `the project is written to ${folder}, but \`${manager} install\` ${ended}; run it there again`,
  );
}
