'use strict'
// A member of a consumer group that is not ours: it registers, answers the broker, and consumes nothing.

const { subscription } = require('../../scripts/conformance/requests')
const { Connection } = require('./wire')

const CODE = { HEART_BEAT: 34, UNREGISTER_CLIENT: 35 }

/**
 * What is subscribed: everything of a topic, or with an expression; `version` is the wall clock's time by default.
 * @typedef {string | { topic: string, expression: string, kind?: 'TAG' | 'SQL92', version?: number }} Wanted
 */

/** As heartbeats and answers to 307 have it. @param {Wanted} wanted */
function subscriptionData(wanted) {
  const {
    topic,
    expression,
    version = Date.now(),
    kind,
  } = typeof wanted === 'string' ? { topic: wanted, expression: '*' } : wanted
  return subscription(topic, expression, version, kind)
}

class ForeignMember {
  #connection

  /**
   * Joins a group at one broker.
   * @param {string} address of the broker
   * @param {{ group: string, clientId: string, topics: Wanted[], credentials?: object, onRequest?: Function, messageModel?: 'CLUSTERING' | 'BROADCASTING' }} options
   *   `onRequest` answers what the broker asks, as in Connection.open()
   */
  static async join(address, { group, clientId, topics, credentials, onRequest, messageModel = 'CLUSTERING' }) {
    const requests = []
    const connection = await Connection.open(address, {
      credentials,
      onRequest: (request) => {
        requests.push(request)
        return onRequest?.(request)
      },
    })
    const member = new ForeignMember(connection, group, clientId, requests, messageModel)
    await member.heartbeat(topics)
    return member
  }

  constructor(connection, group, clientId, requests, messageModel) {
    this.#connection = connection
    this.group = group
    this.clientId = clientId
    this.messageModel = messageModel
    /** What the broker has asked or told so far: { code, ext, body }. */
    this.requests = requests
  }

  /** Registers, or changes what is subscribed. */
  async heartbeat(topics) {
    const subscriptionDataSet = topics.map(subscriptionData)
    const consumer = {
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
      consumeType: 'CONSUME_PASSIVELY',
      groupName: this.group,
      messageModel: this.messageModel,
      subscriptionDataSet,
      unitMode: false,
    }
    const body = { clientID: this.clientId, consumerDataSet: [consumer], producerDataSet: [] }
    await this.#connection.request(CODE.HEART_BEAT, {}, body)
  }

  /** Leaves in peace. */
  async leave() {
    const ext = { clientID: this.clientId, consumerGroup: this.group }
    await this.#connection.request(CODE.UNREGISTER_CLIENT, ext)
    this.close()
  }

  /** Leaves without a word, as a crash would. */
  close() {
    this.#connection.close()
  }
}

module.exports = { ForeignMember, subscriptionData }
