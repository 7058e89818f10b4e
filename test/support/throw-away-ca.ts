import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** A key and its certificate: PEM texts, and the files that hold them. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateOptions {
  /** As in a certificate's subjectAltName: 'DNS:localhost', 'IP:127.0.0.1'. */
  readonly names: readonly string[];
  /** Below 0: it has expired. Default 1. */
  readonly days?: number;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** An authority that nobody trusts unless told to, made by the `openssl` of this machine. The caller removes it. */
export class ThrowAwayCa {
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), 'lovage-ca-'));
  #issued = 0;

  constructor() {
    this.#openssl([
      'req',
      '-x509',
      ...KEY,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=throw-away',
      '-days',
      '1',
    ]);
  }

  /** The authority's own certificate: what clients are to trust. */
  get caFile(): string {
    return path.join(this.#folder, 'ca.pem');
  }

  issue({ names, days = 1 }: CertificateOptions): Certificate {
    const name = `issued-${(this.#issued += 1)}`;
    const [certFile, keyFile] = [path.join(this.#folder, `${name}.pem`), path.join(this.#folder, `${name}.key`)];
    writeFileSync(path.join(this.#folder, 'names'), `subjectAltName=${names.join(',')}\n`);
    this.#openssl(['req', '-new', ...KEY, '-keyout', keyFile, '-out', 'request', '-subj', `/CN=${name}`]);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names'];
    this.#openssl(['x509', '-req', '-in', 'request', ...by, '-days', `${days}`, '-out', certFile]);
    return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile, keyFile };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #openssl(args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.#folder, stdio: 'pipe' });
  }
}
