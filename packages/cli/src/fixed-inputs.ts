import type { Model } from '@fewbit/core/ir'
import { type FixedInputs, fixInputs } from '@fewbit/core/passes'
import { loadModel } from '@fewbit/engine-node'
import { type Command, InvalidArgumentError } from 'commander'

export interface FixedInputFlags {
  fixInput?: FixedInputs
}

/** Adds `--fix-input`, which may be repeated. */
export const withFixedInputs = (command: Command): Command =>
  command.option(
    '--fix-input <name=value>',
    'take an input for a constant: one number for all its elements, or as many as it has, such as sr=16000; may be repeated',
    parseFixedInput,
  )

/** @throws InvalidArgumentError unless it is a name and numbers. */
export function parseFixedInput(text: string, given: FixedInputs = {}): FixedInputs {
  const at = text.lastIndexOf('=')
  const numbers = text
    .slice(at + 1)
    .split(',')
    .map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  if (at < 1 || numbers.some(Number.isNaN)) {
    throw new InvalidArgumentError('Write the name of an input and its value, such as sr=16000.')
  }
  const [first = 0] = numbers
  return { ...given, [text.slice(0, at)]: numbers.length === 1 ? first : numbers }
}

/**
 * Reads a model, with constants in the place of inputs where that was asked for.
 * @throws FewbitError INPUT_FIXED, FILE_*, ONNX_*
 */
export async function loadFixed(file: string, { fixInput }: FixedInputFlags): Promise<Model> {
  const model = await loadModel(file)
  return fixInput ? fixInputs(model, fixInput) : model
}
