import { Producer } from 'rocketmq-orderly'

const options = { groupId: 'GID_shop', topics: ['orders'], sendTimeoutMs: 300 }
// One message a request: the second request is never the last.
const producer = await new Producer({ ...options, batching: 'off' }).start()
globalThis.producer = {
  sendOrderly: (message, key) => {
    const sent = producer.sendOrderly(message, key)
    sent.catch(({ code }) => console.log(JSON.stringify({ rejected: code })))
    return sent
  },
}

export async function after({ sendAll }) {
  const messages = Array.from({ length: 50 }, (_, i) => ({ topic: 'orders', body: `${i}` }))
  await sendAll(messages, 'order-1')
  await producer.close()
}
