'use strict'
// One recorded script of requests: every request code that clients of ours send, and what tests ask, with good and bad arguments.
// Every step is answered by each server in turn; `Recorder` keeps what matters of the answers.

const { anew } = require('./steps/anew')
const { administration, resets } = require('./steps/administration')
const { access } = require('./steps/access')
const { binary, frames } = require('./steps/frames')
const { crash, goAway } = require('./steps/restarts')
const { autoCreation, broadcasting, membership, unknownGroups } = require('./steps/members')
const { lockTable, offsets } = require('./steps/offsets')
const { conditions, heldPulls, pulls } = require('./steps/pulls')
const { retries } = require('./steps/retries')
const { routes, sealing, topics } = require('./steps/routes')
const { batches, sends, sizes, unread } = require('./steps/sends')

/** At a broker without access control. @param {import('./recorder').Recorder} r */
async function script(r) {
  await topics(r)
  await routes(r)
  await sends(r)
  await batches(r)
  await sizes(r)
  await unread(r)
  await pulls(r)
  await conditions(r)
  await membership(r)
  await broadcasting(r)
  await offsets(r)
  await lockTable(r)
  await heldPulls(r)
  await retries(r)
  await administration(r)
  await anew(r)
  await resets(r)
  await unknownGroups(r)
  await autoCreation(r)
  await sealing(r)
  await binary(r)
  await frames(r)
  await unknown(r)
  await crash(r)
}

/** At a broker with access control. @param {import('./recorder').Recorder} r */
async function guarded(r) {
  await access(r)
  await goAway(r)
}

async function unknown(r) {
  await r.broker('9999 at the broker', 9_999)
  await r.names('9999 at the name server', 9_999)
}

module.exports = { guarded, script }
