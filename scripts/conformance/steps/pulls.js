'use strict'
// 11 and 361: pulls, those that wait, and which messages a condition selects.

const { setTimeout: sleep } = require('node:timers/promises')
const { MESSAGES, TRIED } = require('../conditions')
const { pull, send, without } = require('../requests')

/** How often brokers look at held pulls. */
const LOOK_MS = 5_000

async function pulls(r) {
  await r.broker('11 from 0', 11, pull('one', 0, 0))
  await r.broker('11 at most one', 11, pull('one', 0, 0, { maxMsgNums: 1 }))
  await r.broker('11 at most 0', 11, pull('one', 0, 0, { maxMsgNums: 0 }))
  await r.broker('11 at most -1', 11, pull('one', 0, 0, { maxMsgNums: -1 }))
  await r.broker('11 at the end', 11, pull('one', 0, 5))
  await r.broker('11 behind the end', 11, pull('one', 0, 50))
  await r.broker('11 before the beginning', 11, pull('one', 0, -1))
  await r.broker('11 an empty queue', 11, pull('typed', 0, 0))
  await r.broker('11 an empty queue, from 3', 11, pull('typed', 0, 3))
  await r.broker('11 of a tag', 11, pull('one', 0, 0, { subscription: 'TagA' }))
  await r.broker('11 of a tag that nobody has', 11, pull('one', 0, 0, { subscription: 'TagX' }))
  await r.broker('11 by SQL92', 11, pull('one', 0, 0, { subscription: "TAGS = 'TagA'", expressionType: 'SQL92' }))
  await r.broker('11 by SQL92 that is none', 11, pull('one', 0, 0, { subscription: 'a >', expressionType: 'SQL92' }))
  await r.broker('11 by what is unknown', 11, pull('one', 0, 0, { subscription: 'x', expressionType: 'XPATH' }))
  await r.broker('11 queue 9', 11, pull('one', 9, 0))
  await r.broker('11 queue -1', 11, pull('one', -1, 0))
  await r.broker('11 an unknown topic', 11, pull('nowhere', 0, 0))
  await r.broker('11 a topic that may be written only', 11, pull('mute', 0, 0))
  await r.broker('11 without registration', 11, pull('one', 0, 0, { sysFlag: 0, consumerGroup: 'GID-nobody' }))
  await r.broker('11 an odd group name', 11, pull('one', 0, 0, { consumerGroup: 'GID odd!' }))
  for (const name of ['consumerGroup', 'topic', 'queueId', 'queueOffset', 'maxMsgNums', 'sysFlag', 'commitOffset']) {
    await r.broker(`11 without ${name}`, 11, without(pull('one', 0, 0), name))
  }
  for (const name of ['suspendTimeoutMillis', 'subVersion', 'subscription', 'expressionType']) {
    await r.broker(`11 without ${name}`, 11, without(pull('one', 0, 0), name), undefined, { ignoreBody: true })
  }
  await r.broker('361', 361, pull('one', 0, 0), undefined, { ignoreBody: true })
}

async function conditions(r) {
  for (const [body, pairs] of Object.entries(MESSAGES)) {
    const all = { UNIQ_KEY: body, TAGS: 'TagA', KEYS: 'k1', ...pairs }
    await r.broker(`310 the message ${body}`, 310, send('typed', 3, all), Buffer.from(body))
  }
  for (const text of TRIED) {
    const ext = pull('typed', 3, 0, { subscription: text, expressionType: 'SQL92' })
    const selected = (messages) => messages.map(({ body }) => body)
    await r.broker(`11 WHERE ${text}`, 11, ext, undefined, { pick: selected })
  }
}

async function heldPulls(r) {
  const held = (queueOffset, suspendTimeoutMillis, ext) =>
    pull('typed', 1, queueOffset, { sysFlag: 6, suspendTimeoutMillis, ...ext })
  /** While a pull is held a message comes. */
  const meanwhile = async (name, ext, coming, options) => {
    await r.seen()
    const answered = r.later(name, 11, ext, options)
    await sleep(300)
    await r.broker(`310 ${coming}`, 310, send('typed', 1, { UNIQ_KEY: coming, TAGS: 'TagA' }), Buffer.from('x'))
    await answered
  }
  const other = { subscription: 'TagB' }
  await meanwhile('11 held until a message comes', held(0, 10_000), 'what it waits for', { soon: true })
  await meanwhile('11 held while another tag comes', held(1, 2_000, other), 'another tag')
  await meanwhile('11 held for 12 s while another tag comes', held(2, 12_000, other), 'another tag again')
  await r.later('11 held in vain', 11, held(3, LOOK_MS / 5))
}

module.exports = { pulls, conditions, heldPulls }
