import { readFile } from 'node:fs/promises'
import { parseRecipe, type Recipe, recipeOfModel } from '@fewbit/core/pipeline'
import { fileProblem, loadModel } from '@fewbit/engine-node'

/**
 * The recipe in a JSON file or in the metadata of a model.
 * @throws FewbitError RECIPE_MISSING, RECIPE_FORMAT, RECIPE_VERSION; FILE_* and ONNX_* if the file cannot be read.
 */
export async function loadRecipe(path: string): Promise<Recipe> {
  if (/\.onnx$/i.test(path)) return recipeOfModel(await loadModel(path), path)
  const text = await readFile(path, 'utf8').catch((error) => {
    throw fileProblem(error, path, 'read')
  })
  return parseRecipe(text, path)
}
