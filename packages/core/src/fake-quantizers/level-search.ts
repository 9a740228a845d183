/** Lines of a function body that count how many of 2^rounds − 1 ascending thresholds, a vector, each element of `v` has reached: int32. */
export function searchLines(rounds: number, v: string, thresholds: string, to: string): string[] {
  const steps = Array.from({ length: rounds }, (_, i) => 2 ** (rounds - 1 - i))
  return steps.flatMap((step, i) => {
    const [before, behind] = [`${to}_${i}`, i === rounds - 1 ? to : `${to}_${i + 1}`]
    const probe = `${to}_probe_${i}`
    const at = i === 0 ? `${probe} = Constant<value = int32[] {${step - 1}}>()` : ''
    const add = i === 0 ? '' : `${probe}_offset = Constant<value = int32[] {${step - 1}}>()`
    const lines = [
      ...(i === 0 ? [at] : [add, `${probe} = Add(${before}, ${probe}_offset)`]),
      `${probe}_threshold = Gather(${thresholds}, ${probe})`,
      `${probe}_reached = GreaterOrEqual(${v}, ${probe}_threshold)`,
      `${probe}_bit = Cast<to = 6>(${probe}_reached)`,
      `${probe}_size = Constant<value = int32[] {${step}}>()`,
    ]
    if (i === 0) return [...lines, `${behind} = Mul(${probe}_bit, ${probe}_size)`]
    return [...lines, `${probe}_part = Mul(${probe}_bit, ${probe}_size)`, `${behind} = Add(${before}, ${probe}_part)`]
  })
}
