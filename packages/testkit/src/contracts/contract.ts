/** One promise of a contract, for any test runner: `for (const { name, run } of observerContract(mine)) test(name, run)`. */
export interface ContractCheck {
  readonly name: string
  /** @throws Error saying what is broken. */
  readonly run: () => void | Promise<void>
}

export function demand(condition: boolean, broken: () => string): void {
  if (!condition) throw new Error(broken())
}

/** Compares what JSON tells apart. */
export function demandEqual(actual: unknown, expected: unknown, what: string): void {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)]
  demand(a === e, () => `${what}: ${a}, not ${e}`)
}
