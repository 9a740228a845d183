// Size budgets (ARCHITECTURE.md, "Budgets"): files ≤ 500 lines with a median ≤ 120; functions ≤ 60 lines, p90 ≤ 30, median ≤ 8.
// tools/size-exceptions.json lists what may be larger, each with a reason.
import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { sourceFiles } from './sources.ts'

const FILE_HARD = 500
const FUNCTION_HARD = 60
const FUNCTION_P90 = 30
const FUNCTION_MEDIAN = 8
const FILE_MEDIAN = 120

const exceptions: Record<string, string> = JSON.parse(readFileSync('tools/size-exceptions.json', 'utf8'))

interface Sized {
  where: string
  lines: number
}

function functionsOf(file: string, text: string): Sized[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
  const found: Sized[] = []
  const line = (position: number) => source.getLineAndCharacterOfPosition(position).line
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const start = line(node.getStart())
      found.push({ where: `${file}:${start + 1}`, lines: line(node.end) - start + 1 })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

const quantile = (items: readonly Sized[], q: number): number => {
  const sorted = items.map((s) => s.lines).sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}

const code = sourceFiles().filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
const texts = code.map((file) => [file, readFileSync(file, 'utf8')] as const)
const files = texts.map(([file, text]) => ({ where: file, lines: text.split('\n').length - 1 }))
const functions = texts.flatMap(([file, text]) => functionsOf(file, text))

const allowed = (where: string) => exceptions[where.replace(/:\d+$/, '')] !== undefined
const problems = [
  ...files.filter((f) => f.lines > FILE_HARD && !allowed(f.where)).map((f) => `${f.where} has ${f.lines} lines`),
  ...functions
    .filter((f) => f.lines > FUNCTION_HARD && !allowed(f.where))
    .map((f) => `${f.where} is a function of ${f.lines} lines`),
]
const shape = [
  ['median file', quantile(files, 0.5), FILE_MEDIAN],
  ['median function', quantile(functions, 0.5), FUNCTION_MEDIAN],
  ['p90 function', quantile(functions, 0.9), FUNCTION_P90],
] as const
for (const [name, value, limit] of shape) if (value > limit) problems.push(`${name}: ${value} lines, limit ${limit}`)

for (const problem of problems) console.error(`${problem}: split it by what it knows`)
console.log(`sizes: ${files.length} files, ${functions.length} functions, ${problems.length} over budget`)
console.log(shape.map(([name, value]) => `${name} ${value}`).join(', '))
process.exitCode = problems.length > 0 ? 1 : 0
