import { activationsOf, atBits, type Cause, layersAt, placeOf, requestsFor, roundingSqnr } from '../cause.ts'

/** The tensor has an eighth of the range that it shares: three bits lost. */
const RATIO = 8
const LEAST_SQNR = 40

export const mixedRanges: Cause = {
  name: 'mixed-ranges',
  title: 'Values of very different ranges share one scale',
  explanation:
    'Boxes and scores, or branches of different size, meet in a Concat or another operator whose inputs share a scale. The largest sets it.',
  level: 'warning',
  find: (exam) =>
    activationsOf(exam).flatMap((tensor) => {
      const { groupRatio = 1 } = tensor
      if (groupRatio < RATIO || roundingSqnr(tensor) >= atBits(LEAST_SQNR, tensor.quantization?.bits)) return []
      const group = exam.plan.tensors.find(({ value }) => value === tensor.value)?.group ?? ''
      return [
        { at: placeOf(tensor), evidence: { 'range of the group ÷ its own': groupRatio, group }, severity: groupRatio },
      ]
    }),
  remedy(symptoms, exam) {
    const joins = joinsOf(symptoms, exam)
    const groups = new Set(symptoms.map(({ evidence }) => evidence.group))
    const goesOn = exam.plan.tensors.some(
      ({ group, readers }) => groups.has(group) && readers.some((r) => !joins.includes(r)),
    )
    const equalize = requestsFor(['cle'], exam)
    return goesOn && equalize.length > 0
      ? { text: 'scale the branches alike, and the weights behind the other way', patch: { algorithms: equalize } }
      : {
          text: 'keep the operator that joins them in float, so that each has its own scale',
          patch: { floatNodes: joins },
        }
  },
}

/** The nodes that read several tensors of the group of a symptom. */
function joinsOf(symptoms: Parameters<Cause['remedy']>[0], { plan }: Parameters<Cause['remedy']>[1]): string[] {
  const groups = new Set(symptoms.map(({ evidence }) => evidence.group))
  const counts = new Map<string, number>()
  for (const { group, role, readers } of plan.tensors) {
    if (role !== 'activation' || !groups.has(group)) continue
    for (const reader of readers) counts.set(reader, (counts.get(reader) ?? 0) + 1)
  }
  const joins = [...counts].filter(([, count]) => count > 1).map(([node]) => node)
  return joins.length > 0 ? joins : layersAt(symptoms)
}
