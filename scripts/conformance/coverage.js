'use strict'
// Which request codes the script asks, and that it asks each that our clients send in a good and in a bad form.

/** The request codes that our clients send; a spec compares them with those in the source. */
const SENT = {
  PULL_MESSAGE: 11,
  QUERY_CONSUMER_OFFSET: 14,
  UPDATE_CONSUMER_OFFSET: 15,
  SEARCH_OFFSET_BY_TIMESTAMP: 29,
  GET_MAX_OFFSET: 30,
  GET_MIN_OFFSET: 31,
  HEART_BEAT: 34,
  UNREGISTER_CLIENT: 35,
  GET_CONSUMER_LIST_BY_GROUP: 38,
  LOCK_BATCH_MQ: 41,
  UNLOCK_BATCH_MQ: 42,
  CHECK_CLIENT_CONFIG: 46,
  GET_BROKER_CLUSTER_INFO: 106,
  GET_ROUTEINFO_BY_TOPIC: 105,
  SEND_MESSAGE_V2: 310,
  SEND_BATCH_MESSAGE: 320,
}
/** What a request in a good form is answered: done, or nothing new. */
const GOOD = new Set([0, 19, 20, 21])

/**
 * @param {Map<number, Set<number>>} asked the answers' codes of a real broker, by the code of the request
 * @returns {{ table: string, lacking: string[] }} all that was asked; what our clients send and the script lacks
 */
function coverage(asked) {
  const rows = [...asked]
    .sort(([a], [b]) => a - b)
    .map(([code, answers]) => `  ${code}: ${[...answers].sort((a, b) => a - b)}`)
  const lacking = Object.entries(SENT).filter(([, code]) => {
    const answers = [...(asked.get(code) ?? [])]
    return !answers.some((answer) => GOOD.has(answer)) || answers.every((answer) => GOOD.has(answer))
  })
  return { table: rows.join('\n'), lacking: lacking.map(([name, code]) => `${code} ${name}`) }
}

module.exports = { SENT, coverage }
