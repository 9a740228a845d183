import type { QuantPlan } from '../quant/index.ts'

/** What to measure of one value. */
export interface StatRequest {
  /** Value name in the model's main graph. */
  readonly value: string
  /** `histogram` includes minima and maxima. */
  readonly kind: 'minmax' | 'histogram'
  /** Also minima and maxima along this axis. */
  readonly channelAxis?: number
}

/** What calibration has to know about an observer. */
export type ObserverNeeds = Readonly<Record<string, { readonly wants: StatRequest['kind'] }>>

/** The statistics that a plan's activations need, one request per value, in plan order. */
export function requestsForPlan(plan: QuantPlan, observers: ObserverNeeds): StatRequest[] {
  const requests = plan.tensors.flatMap(({ value, spec, source }): StatRequest[] => {
    if (source.kind !== 'calibrate') return []
    const kind = observers[source.observer]?.wants ?? 'histogram'
    return [{ value, kind, ...(spec.granularity.kind === 'channel' ? { channelAxis: spec.granularity.axis } : {}) }]
  })
  return mergeRequests(requests)
}

/** One request per value that asks for everything that any of them asks for. */
export function mergeRequests(requests: Iterable<StatRequest>): StatRequest[] {
  const byValue = new Map<string, StatRequest>()
  for (const request of requests) {
    const known = byValue.get(request.value)
    byValue.set(request.value, known ? union(known, request) : request)
  }
  return [...byValue.values()]
}

function union(a: StatRequest, b: StatRequest): StatRequest {
  const channelAxis = a.channelAxis ?? b.channelAxis
  return {
    value: a.value,
    kind: a.kind === 'histogram' ? a.kind : b.kind,
    ...(channelAxis === undefined ? {} : { channelAxis }),
  }
}
