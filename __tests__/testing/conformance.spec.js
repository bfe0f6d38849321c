'use strict'
// `npm run conformance` asks brokers everything that our clients ask them: its list of codes is that of the source.

const fs = require('node:fs')
const path = require('node:path')
const { SENT, coverage } = require('../../scripts/conformance/coverage')

const PROTOCOL = path.resolve(__dirname, '../../crates/protocol/src')

test('the list of request codes is that of the requests that clients send', () => {
  const numbers = new Map(
    [...fs.readFileSync(path.join(PROTOCOL, 'code.rs'), 'utf8').matchAll(/const (\w+): i32 = (\d+);/g)].map(
      ([, name, code]) => [name, Number(code)],
    ),
  )
  const folder = path.join(PROTOCOL, 'requests')
  const sent = fs
    .readdirSync(folder)
    .flatMap((file) => [...fs.readFileSync(path.join(folder, file), 'utf8').matchAll(/CODE: i32 = request::(\w+);/g)])
    .map(([, name]) => [name, numbers.get(name)])
  expect(sent.length).toBeGreaterThan(10)
  expect(SENT).toEqual(Object.fromEntries(sent))
})

test('a code that is asked in one form only is missed', () => {
  const asked = new Map(Object.values(SENT).map((code) => [code, new Set([0, 1])]))
  expect(coverage(asked).lacking).toEqual([])
  asked.set(11, new Set([0, 19, 21]))
  asked.set(41, new Set([1]))
  asked.delete(105)
  expect(coverage(asked).lacking).toEqual(['11 PULL_MESSAGE', '41 LOCK_BATCH_MQ', '105 GET_ROUTEINFO_BY_TOPIC'])
})
