import { totalmem } from 'node:os'

/** Memory that the process may take: that of the machine, or of the container that it runs in. */
export function constrainedBytes(): number {
  const limit = process.constrainedMemory?.() ?? 0
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}
