/** How the program was called, quoted for a shell. */
export const commandLine = (): string =>
  ['fewbit', ...process.argv.slice(2)].map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quoted(word))).join(' ')

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`
