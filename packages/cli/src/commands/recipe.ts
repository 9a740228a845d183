import { type Difference, differences, type Recipe } from '@fewbit/core/pipeline'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { loadRecipe } from '../recipe-file.ts'
import { table } from '../render/table.ts'

const show: CommandBody<[string]> = async (_, file) => {
  const recipe = await loadRecipe(file)
  return { json: recipe, text: renderRecipe(recipe) }
}

const diff: CommandBody<[string, string]> = async (_, before, after) => {
  const list = differences(await loadRecipe(before), await loadRecipe(after))
  return { json: { before, after, differences: list }, text: renderDifferences(list, before, after) }
}

const short = (digest: string): string => `${digest.slice(0, 16)}…`

function renderRecipe(recipe: Recipe): string {
  const { choice, versions } = recipe
  const rows = [
    ['made by', `fewbit ${versions.fewbit} on ${versions.engine}`],
    ...(recipe.extensions.length > 0 ? [['extensions', recipe.extensions.join(', ')]] : []),
    ['model', short(recipe.modelDigest)],
    ...Object.entries(recipe.settings).map(([name, value]) => [name, text(value)]),
    ['observer chosen', choice.observer],
    ...Object.entries(choice.observers).map(([value, observer]) => [`  ${value}`, observer]),
    ['nodes in float', choice.floatNodes.join(', ') || 'none'],
    ['samples per run', String(recipe.batchSize)],
    ['data', short(recipe.dataDigest)],
    ...Object.entries(recipe.data).map(([name, value]) => [`  ${name}`, text(value)]),
    ...recipe.inputs.map((i) => [`input ${i.input}`, `${i.min}…${i.max}, mean ${i.mean}, std ${i.std}`]),
    ['statistics', short(recipe.calibrationDigest)],
  ]
  return table([], rows)
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

function renderDifferences(list: readonly Difference[], before: string, after: string): string {
  if (list.length === 0) return 'the recipes are the same'
  const cell = (d: Difference, side: 'before' | 'after') => (Object.hasOwn(d, side) ? text(d[side]) : '–')
  return table(
    ['', before, after],
    list.map((d) => [d.path, cell(d, 'before'), cell(d, 'after')]),
  )
}

export function recipeCommand(program: Command, invocation: Invocation): void {
  const recipe = program
    .command('recipe')
    .summary('what a quantized model was made with')
    .description('A recipe holds all that a run depended on. It stands in every model that fewbit quantized.')
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit recipe show model.int8.onnx\n  fewbit recipe diff monday.int8.onnx out/recipe.json',
    )
  const settle = (command: Command) =>
    command.exitOverride().configureOutput(program.configureOutput()).option('--json', 'print one JSON document')
  settle(recipe.command('show').description('Shows the recipe of a model, or a recipe file.'))
    .argument('<file>', 'a model that fewbit quantized, or recipe.json')
    .action(action(invocation, show))
  settle(recipe.command('diff').description('What differs between two recipes, path by path.'))
    .argument('<before>', 'a model that fewbit quantized, or recipe.json')
    .argument('<after>', 'the same')
    .action(action(invocation, diff))
}
