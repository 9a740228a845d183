// Prints `N passed, M failed[, K skipped]` from vitest's JSON report; a failed build or lint counts as one failure.
import { readFileSync } from 'node:fs'

const [report, status] = process.argv.slice(2)
let totals = { passed: 0, failed: 0, skipped: 0 }
try {
  const json = JSON.parse(readFileSync(report, 'utf8'))
  totals = {
    passed: json.numPassedTests,
    failed: json.numFailedTests,
    skipped: json.numPendingTests + json.numTodoTests,
  }
  // A test file that does not even load has no failed test of its own.
  if (totals.failed === 0 && !json.success) totals.failed = json.numFailedTestSuites || 1
} catch {
  console.error('no test report was written: installing, building or linting failed')
}
if (status !== '0' && totals.failed === 0) totals.failed = 1
console.log(
  `${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ''}`,
)
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0
