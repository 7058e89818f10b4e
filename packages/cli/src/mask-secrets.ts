/** A text without the passwords of the URLs in it: the last line of defence for messages that come from elsewhere. */
export function maskSecrets(text: string): string {
  return text.replace(/\b([a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):[^\s/]*@/gi, '$1:***@');
}
