/** Tukey's fences: what lies more than `fence` times the interquartile range outside of the quartiles is clipped. */
const tukey = {
  name: 'tukey',
  summary: 'the quartiles and three times their distance beyond them',
  defaults: { fence: 3 },
  wants: ['histogram'],
  range({ min, max, histogram }, _spec, { fence }) {
    const { width, first, counts } = histogram
    const total = counts.reduce((sum, n) => sum + n, 0)
    const quartile = (share) => {
      let bin = 0
      for (let seen = counts[0]; seen < share * total; seen += counts[bin]) bin++
      return bin
    }
    const [lower, upper] = [quartile(0.25), quartile(0.75)]
    // Both in one bin: what the histogram cannot tell apart is not clipped.
    const reach = lower === upper ? Infinity : fence * (upper - lower)
    const lo = Math.max(min, (first + lower - reach) * width)
    const hi = Math.min(max, (first + upper + 1 + reach) * width)
    return { lo: Math.min(lo, 0), hi: Math.max(hi, 0) }
  },
}

export const plugin = { name: 'example-observer', observers: [tukey] }
