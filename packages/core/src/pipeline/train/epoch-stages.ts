import type { FitProgress } from '../../training/index.ts'
import { percent, timeLeft } from '../../util/index.ts'
import type { Run } from '../run.ts'

/** Reports each epoch as a stage of the run, with what people watch: loss, accuracy, speed, and the time that is left. */
export class EpochStages {
  readonly #run: Run
  readonly #stepsPerEpoch: number
  readonly #epochs: number
  readonly #samplesPerStep: number
  #stage: { readonly name: string; readonly epoch: number; readonly start: number } | undefined
  #sums = { steps: 0, loss: 0, accuracy: 0 }

  constructor(run: Run, shape: { stepsPerEpoch: number; epochs: number; samplesPerStep: number }) {
    this.#run = run
    this.#stepsPerEpoch = shape.stepsPerEpoch
    this.#epochs = shape.epochs
    this.#samplesPerStep = shape.samplesPerStep
  }

  step(progress: FitProgress): void {
    const epoch = Math.floor((progress.step - 1) / this.#stepsPerEpoch)
    if (this.#stage?.epoch !== epoch) this.#begin(epoch)
    const { steps, loss, accuracy } = this.#sums
    this.#sums = { steps: steps + 1, loss: loss + progress.loss, accuracy: accuracy + (progress.accuracy ?? 0) }
    const stage = this.#stage?.name ?? ''
    const done = progress.step - epoch * this.#stepsPerEpoch
    const note = this.#note(progress)
    this.#run.options.onProgress?.({ stage, state: 'progress', done, total: this.#stepsPerEpoch, note })
  }

  /**
   * Ends the stage of the present epoch, if one has begun.
   * @returns which it was, and its loss.
   */
  end(): string | undefined {
    if (!this.#stage) return undefined
    const { name: stage, start } = this.#stage
    const seconds = (performance.now() - start) / 1000
    this.#run.seconds.train = (this.#run.seconds.train ?? 0) + seconds
    this.#run.options.onProgress?.({ stage, state: 'end', seconds })
    this.#stage = undefined
    return `${stage}, ${this.#loss}`
  }

  #begin(epoch: number): void {
    this.end()
    const name = `epoch ${epoch + 1}/${this.#epochs}`
    this.#stage = { name, epoch, start: performance.now() }
    this.#sums = { steps: 0, loss: 0, accuracy: 0 }
    this.#run.options.onProgress?.({ stage: name, state: 'start' })
  }

  get #loss(): string {
    return `loss ${(this.#sums.loss / this.#sums.steps).toFixed(3)}`
  }

  #note({ step, total, accuracy, samplesPerSecond }: FitProgress): string {
    const { steps, accuracy: sum } = this.#sums
    const left = ((total - step) * this.#samplesPerStep) / samplesPerSecond
    return [
      this.#loss,
      ...(accuracy === undefined ? [] : [percent(sum / steps)]),
      `${samplesPerSecond.toFixed(samplesPerSecond < 10 ? 1 : 0)} samples/s`,
      `${timeLeft(left)} left`,
    ].join(', ')
  }
}
