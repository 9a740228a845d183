/** Maps in order with up to `ahead` calls in flight, so that decoding overlaps with inference. */
export async function* prefetch<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  ahead: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const queue: Promise<R>[] = []
  try {
    for await (const item of items) {
      const result = map(item)
      // A failure is reported when its turn comes, not as an unhandled rejection before.
      result.catch(() => undefined)
      queue.push(result)
      if (queue.length >= ahead) yield await (queue.shift() as Promise<R>)
    }
    while (queue.length > 0) yield await (queue.shift() as Promise<R>)
  } finally {
    await Promise.allSettled(queue)
  }
}
