import { execFileSync } from 'node:child_process'

/** Source files that git tracks or would track, relative to the repository root. */
export function sourceFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts', '*.mjs'], { encoding: 'utf8' })
  return listed.split('\n').filter((file) => file !== '' && !file.includes('/generated/'))
}
