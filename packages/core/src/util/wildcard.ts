/** A pattern of names, in which `*` stands for any text, as a regular expression for whole names; what each `*` stands for is a group. */
export function wildcard(pattern: string): RegExp {
  const literal = pattern.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
  return new RegExp(`^${literal.join('(.*?)')}$`, 's')
}
