/** A URL without its password and without secrets in its query, for logs, banners and errors. A text that is no URL shows its scheme at most. */
export function maskUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return hidden(url);
  }
  // `guest:secret@host` parses too, as a URL of the scheme `guest`.
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) return hidden(url);
  if (parsed.password !== '') parsed.password = '***';
  for (const key of [...parsed.searchParams.keys()]) {
    if (/pass|secret|token|key/i.test(key)) parsed.searchParams.set(key, '***');
  }
  return parsed.toString();
}

function hidden(url: string): string {
  return `${/^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0] ?? ''}//…`;
}
