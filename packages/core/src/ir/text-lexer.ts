import { problem } from '../util/index.ts'

export type TokenKind = 'name' | 'quoted' | 'bytes' | 'number' | 'mark' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** Quoted names without their quotes; bytes as hexadecimal digits. */
  readonly text: string
  readonly offset: number
}

const SPACE = /(?:\s|\/\/[^\n]*)*/y
const RULES: readonly (readonly [TokenKind, RegExp])[] = [
  ['bytes', /x"[\da-f]*"/y],
  ['quoted', /"(?:[^"\\\n]|\\.)*"/y],
  ['number', /-?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|inf\b|nan\b)/y],
  ['name', /[A-Za-z_/][\w./:-]*/y],
  ['mark', /=>|[<>=(){}[\],:@?]/y],
]

/** Tokens of the text form, read one ahead. */
export class TextLexer {
  readonly #text: string
  #offset = 0
  #token: Token

  constructor(text: string) {
    this.#text = text
    this.#token = this.#scan()
  }

  get token(): Token {
    return this.#token
  }

  next(): Token {
    const token = this.#token
    this.#token = this.#scan()
    return token
  }

  /** True if the next token is this mark or bare word. */
  at(text: string): boolean {
    return this.#token.text === text && (this.#token.kind === 'mark' || this.#token.kind === 'name')
  }

  /** Takes the next token if it is this mark or bare word. */
  take(text: string): boolean {
    const found = this.at(text)
    if (found) this.next()
    return found
  }

  expect(text: string): void {
    if (!this.take(text)) throw this.fail(`"${text}" is expected`)
  }

  /** A bare or quoted name. */
  name(): string {
    if (this.#token.kind !== 'name' && this.#token.kind !== 'quoted') throw this.fail('a name is expected')
    return this.next().text
  }

  /** `open item, item, … close` */
  list<T>(open: string, close: string, item: () => T): T[] {
    this.expect(open)
    const items: T[] = []
    while (!this.take(close)) {
      if (items.length > 0) this.expect(',')
      items.push(item())
    }
    return items
  }

  /** The error for text that does not parse, with line and column of the next token. */
  fail(message: string, code = 'TEXT_SYNTAX'): Error {
    const before = this.#text.slice(0, this.#token.offset).split('\n')
    const found = this.#token.kind === 'end' ? 'the end' : `"${this.#token.text}"`
    return problem(code, `${message}, found ${found} at ${before.length}:${(before.at(-1) ?? '').length + 1}`)
  }

  #scan(): Token {
    SPACE.lastIndex = this.#offset
    const offset = this.#offset + (SPACE.exec(this.#text)?.[0].length ?? 0)
    for (const [kind, rule] of RULES) {
      rule.lastIndex = offset
      const found = rule.exec(this.#text)?.[0]
      if (found === undefined) continue
      this.#offset = offset + found.length
      return { kind, text: unquoted(kind, found), offset }
    }
    if (offset < this.#text.length) {
      throw problem('TEXT_SYNTAX', `"${this.#text[offset]}" at position ${offset} begins nothing`)
    }
    this.#offset = offset
    return { kind: 'end', text: '', offset }
  }
}

function unquoted(kind: TokenKind, text: string): string {
  if (kind === 'bytes') return text.slice(2, -1)
  return kind === 'quoted' ? (JSON.parse(text) as string) : text
}
