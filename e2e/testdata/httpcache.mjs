// Runs the suite http-cache-tests, which lies in the folder of the first
// argument, against the cache at the address in the second, and prints for each
// kind of test how many passed and why the others did not.
//
// The suite's own command asks a hundred things at once; that is pressure, and
// pressure is not what it is about: here it is forty.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import path from 'node:path'

const [folder, base] = process.argv.slice(2)
const load = async name => import(pathToFileURL(path.join(folder, name)))
const { runTests, getResults } = await load('client/runner.mjs')
const { default: suites } = await load('tests/index.mjs')
const { default: surrogate } = await load('tests/surrogate-control.mjs')
const fetch = createRequire(path.join(folder, 'cli.mjs'))('node-fetch')

const all = [...suites, surrogate]
await runTests(all, fetch, false, base, 40)
const results = getResults()
const kinds = {}
for (const suite of all) {
  for (const test of suite.tests) {
    if (test.browser_only) continue
    const kind = kinds[test.kind || 'required'] ??= { passed: 0, failed: {} }
    if (results[test.id] === true) kind.passed++
    else kind.failed[test.id] = String(results[test.id])
  }
}
console.log(JSON.stringify(kinds))
