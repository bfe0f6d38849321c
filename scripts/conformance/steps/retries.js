'use strict'
// Retry topics, dead letters, delays, and 36.

const { pull, queue, send } = require('../requests')

async function retries(r) {
  const x = Buffer.from('x')
  const back = (group, j, l, pairs) => send(`%RETRY%${group}`, 0, { UNIQ_KEY: `R${group}${j}${l}`, ...pairs }, { j, l })
  const cases = [
    ['GID-r0', 0, 1],
    ['GID-r1', 1, 1],
    ['GID-r2', 2, 1],
    ['GID-r3', 16, undefined],
    ['GID-r4', undefined, 16],
  ]
  for (const [group, j, l] of cases) {
    await r.broker(`310 a retry, j=${j} l=${l}`, 310, back(group, j, l, { RETRY_TOPIC: 'plain' }), x)
  }
  await r.broker('310 a retry, queue 3', 310, { ...back('GID-r0', 2, 1), e: 3 }, x)
  await r.broker('41 a lock in the group', 41, {}, { clientId: 'c', consumerGroup: 'GID-r5', mqSet: [queue(0)] })
  await r.broker('310 a retry while a lock is held', 310, back('GID-r5', 0, 16), x)
  const end = Number((await r.ask(30, { topic: 'plain', queueId: 3 })).ext.offset)
  await r.broker('310 a delayed dead letter', 310, back('GID-r6', 9, 1, { DELAY: '2' }), x, { ignore: ['queueOffset'] })
  await r.broker('310 a delayed message', 310, send('plain', 3, { UNIQ_KEY: 'D', DELAY: '2' }), x, {
    ignore: ['queueOffset'],
  })
  // Of these 5 s the first.
  for (const [group] of [['GID-r6'], ...cases, ['GID-r5']]) {
    await r.broker(`dead letters of ${group}`, 11, pull(`%DLQ%${group}`, 0, 0))
    await r.broker(`retries of ${group}`, 11, pull(`%RETRY%${group}`, 0, 0))
  }
  const found = ({ code }) => code === 0
  await r.awaits(11, pull('%DLQ%GID-r6', 0, 0), found)
  await r.awaits(11, pull('plain', 3, end), found)
  await r.broker('dead letters of GID-r6, later', 11, pull('%DLQ%GID-r6', 0, 0))
  await r.broker('the delayed message, later', 11, pull('plain', 3, 0), undefined, { last: true })
  const sent = r.kept('sent')
  const offset = sent ? Number(BigInt(`0x${sent.ext.msgId.slice(16)}`)) : 0
  const sendBack = { offset, group: 'GID-back', originMsgId: 'U1', originTopic: 'plain', unitMode: false }
  await r.broker('36 handed back to the dead letters', 36, { ...sendBack, delayLevel: -1, maxReconsumeTimes: 16 })
  await r.broker('36 without a level', 36, sendBack)
  await r.broker('36 a wrong offset', 36, { ...sendBack, offset: 999_999_999, delayLevel: 1 })
  await r.broker('dead letters of GID-back', 11, pull('%DLQ%GID-back', 0, 0))
}

module.exports = { retries }
