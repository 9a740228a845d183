/** AssemblyScript: compiled to WebAssembly by `tools/build-wasm.ts`. All numbers are addresses in bytes, or counts. */
import { dots, saturatingDots } from './dots'
import { gather } from './gather'
import { greatest } from './greatest'
import { Job } from './job'
import { requantize } from './requantize'

export { dots, greatest }

/** Units `first` to `end` of a layer. @param scratch room for the patches of a block, and behind them for sums. */
export function run(job: Job, first: i32, end: i32, scratch: usize): void {
  for (let unit = first; unit < end; unit++) {
    const rest = unit / job.channelUnits
    const channel = (unit - rest * job.channelUnits) * job.channelsPerUnit
    const groups = rest / job.positionUnits
    const position = (rest - groups * job.positionUnits) * job.positionsPerUnit
    const last = min((groups + 1) * job.groupsPerUnit, job.groups)
    for (let g = groups * job.groupsPerUnit; g < last; g++) piece(job, g, position, channel, scratch)
  }
}

/** Some positions and channels of one group of one sample, a block of positions at a time. */
function piece(job: Job, group: i32, position: i32, channel: i32, scratch: usize): void {
  const base = job.codes + group * job.groupBytes
  const end = min(position + job.positionsPerUnit, job.plane)
  const channels = min(job.channelsPerUnit, job.channels - channel)
  const ofAll = (group % job.group) * job.channels + channel
  const sums = scratch + job.block * job.rowBytes
  const weights = job.weights + ofAll * job.rowBytes
  // Rows are padded with zeros, which stay from block to block.
  memory.fill(scratch, 0, job.block * job.rowBytes)
  for (let first = position; first < end; first += job.block) {
    const count = min(job.block, end - first)
    gather(job, base, first, count, scratch)
    if (job.channelsLast) {
      sum(job, scratch, count, weights, channels, sums)
      for (let p = 0; p < count; p++) {
        const to = (group / job.group) * job.plane * job.channels + (first + p) * job.channels + channel
        requantize(job, sums + ((p * channels) << 2), channels, ofAll, 1, address(job, to))
      }
    } else {
      sum(job, weights, channels, scratch, count, sums)
      for (let c = 0; c < channels; c++) {
        const to = (group * job.channels + channel + c) * job.plane + first
        requantize(job, sums + ((c * count) << 2), count, ofAll + c, 0, address(job, to))
      }
    }
  }
}

function sum(job: Job, a: usize, m: i32, b: usize, n: i32, out: usize): void {
  if (job.saturates) saturatingDots(a, m, b, n, job.rowBytes, out)
  else dots(a, m, b, n, job.rowBytes, out)
}

function address(job: Job, element: i32): usize {
  const type = job.outType
  return job.out + element * (type < 0 ? -type : type)
}
