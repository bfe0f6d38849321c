'use strict'

const fs = require('node:fs')
const path = require('node:path')
const LongFirst = require('../support/long-first')

const fileOf = (name) => path.join(__dirname, '..', `${name}.spec.js`)
const context = { config: { cache: false }, hasteFS: { getSize: () => 1 } }
const sorted = (names) => new LongFirst({}).sort(names.map((name) => ({ path: fileOf(name), context })))

test('the specs that are said to be long are there', () => {
  const names = Object.keys(LongFirst.SECONDS)
  expect(names.length).toBeGreaterThan(20)
  expect(names.filter((name) => !fs.existsSync(fileOf(name)))).toEqual([])
})

test('long ones come first, the versions of one side by side', () => {
  const names = ['keys', 'namespace', 'operator', 'namespace', 'operator']
  expect(sorted(names).map((test) => test.path)).toEqual(
    ['operator', 'operator', 'namespace', 'namespace', 'keys'].map(fileOf),
  )
})
