import type { QuantPlan } from '../quant/index.ts'
import type { Statistic } from './stats.ts'

/** What to measure of one value. */
export interface StatRequest {
  /** Value name in the model's main graph. */
  readonly value: string
  /** Minima and maxima are measured always. */
  readonly wants: readonly Statistic[]
  /** Also minima and maxima along this axis. */
  readonly channelAxis?: number
}

/** What calibration has to know about an observer. */
export type ObserverNeeds = Readonly<Record<string, { readonly wants: readonly Statistic[] }>>

/** The statistics that a plan's activations need, one request per value, in plan order. */
export function requestsForPlan(plan: QuantPlan, observers: ObserverNeeds): StatRequest[] {
  const requests = plan.tensors.flatMap(({ value, spec, source }): StatRequest[] => {
    if (source.kind !== 'calibrate') return []
    const wants = observers[source.observer]?.wants ?? ['histogram']
    return [{ value, wants, ...(spec.granularity.kind === 'channel' ? { channelAxis: spec.granularity.axis } : {}) }]
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
    wants: [...new Set([...a.wants, ...b.wants])],
    ...(channelAxis === undefined ? {} : { channelAxis }),
  }
}
