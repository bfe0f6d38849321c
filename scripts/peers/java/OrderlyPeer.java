import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.MessageQueueSelector;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * The genuine Java client at work, for tests of interoperation: tells what it does as JSON lines on standard output.
 *
 * <pre>
 * produce NAMESRV TOPIC COUNT KEYS            sends COUNT messages "key-K:SEQ" over KEYS sharding keys, one after another
 * produce NAMESRV TOPIC COUNT KEYS KINDS SIZE the same, bodies filled up with ':x…' to SIZE and compressed: message i as the i-th of KINDS,
 *                                             joined by commas, ZLIB, LZ4, ZSTD or NONE, in turn
 * consume NAMESRV GROUP TOPIC COUNT SECONDS   consumes in order until COUNT messages are handled (0: until SECONDS are over)
 * queues NAMESRV TOPIC                        for each line of standard input, a key: the queue Java sends it to
 * </pre>
 */
public final class OrderlyPeer {
    private static final PrintStream OUT;
    /** Of one request: long enough for a busy machine, where 3 s are the default. */
    private static final int API_TIMEOUT_MS = 30_000;

    static {
        try {
            OUT = new PrintStream(System.out, true, "UTF-8");
        } catch (java.io.UnsupportedEncodingException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    public static void main(String[] args) {
        try {
            run(args);
        } catch (Throwable e) {
            // The client's threads would keep the process.
            e.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    private static void run(String[] args) throws Exception {
        switch (args[0]) {
            case "produce":
                endWithParent();
                produce(args[1], args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]),
                    args.length > 5 ? args[5].split(",") : new String[] {"NONE"},
                    args.length > 6 ? Integer.parseInt(args[6]) : 0);
                break;
            case "consume":
                endWithParent();
                consume(args[1], args[2], args[3], Integer.parseInt(args[4]), Integer.parseInt(args[5]));
                break;
            case "queues":
                queues(args[1], args[2]);
                break;
            default:
                throw new IllegalArgumentException(args[0]);
        }
    }

    private static void produce(String nameServer, String topic, int count, int keys, String[] kinds, int size)
        throws Exception {
        Map<String, DefaultMQProducer> producers = new HashMap<>();
        for (String kind : kinds) {
            if (!producers.containsKey(kind)) {
                producers.put(kind, compressing(nameServer, kind));
            }
        }
        SelectMessageQueueByHash byHash = new SelectMessageQueueByHash();
        for (int i = 0; i < count; i++) {
            String key = "key-" + i % keys;
            StringBuilder filled = new StringBuilder(key + ":" + i / keys);
            if (filled.length() < size) {
                filled.append(':');
            }
            while (filled.length() < size) {
                filled.append('x');
            }
            String body = filled.toString();
            Message message = new Message(topic, "TagJava", key, body.getBytes(StandardCharsets.UTF_8));
            message.putUserProperty("from", "java");
            SendResult result = send(producers.get(kinds[i % kinds.length]), message, byHash, key);
            MessageQueue queue = result.getMessageQueue();
            OUT.println("{\"type\":\"sent\",\"key\":" + json(key) + ",\"body\":" + json(body) + ",\"status\":"
                + json(result.getSendStatus().name()) + ",\"msgId\":" + json(result.getMsgId()) + ",\"brokerName\":"
                + json(queue.getBrokerName()) + ",\"queueId\":" + queue.getQueueId() + ",\"queueOffset\":"
                + result.getQueueOffset() + "}");
        }
        for (DefaultMQProducer producer : producers.values()) {
            producer.shutdown();
        }
    }

    /** Each of its messages, or none. */
    private static DefaultMQProducer compressing(String nameServer, String kind) throws Exception {
        boolean none = kind.equals("NONE");
        // Read by each producer when it is made.
        System.setProperty("rocketmq.message.compressType", none ? "ZLIB" : kind);
        DefaultMQProducer producer = new DefaultMQProducer("OrderlyPeer-" + kind);
        producer.setMqClientApiTimeout(API_TIMEOUT_MS);
        producer.setNamesrvAddr(nameServer);
        producer.setCompressMsgBodyOverHowmuch(none ? Integer.MAX_VALUE : 1);
        producer.start();
        return producer;
    }

    /** A busy machine may not get the route of a topic in the time that the client takes for it; nothing was sent then. */
    private static SendResult send(DefaultMQProducer producer, Message message, MessageQueueSelector selector,
        String key) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(2L * API_TIMEOUT_MS);
        for (;;) {
            try {
                return producer.send(message, selector, key, API_TIMEOUT_MS);
            } catch (MQClientException e) {
                boolean isRoute = String.valueOf(e.getErrorMessage()).startsWith("No route info");
                if (!isRoute || System.nanoTime() > deadline) {
                    throw e;
                }
            }
        }
    }

    private static void consume(String nameServer, String group, String topic, int count, int seconds)
        throws Exception {
        CountDownLatch left = new CountDownLatch(count > 0 ? count : 1);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setMqClientApiTimeout(API_TIMEOUT_MS);
        consumer.setNamesrvAddr(nameServer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            for (MessageExt message : messages) {
                OUT.println("{\"type\":\"message\",\"topic\":" + json(message.getTopic()) + ",\"brokerName\":"
                    + json(context.getMessageQueue().getBrokerName()) + ",\"queueId\":" + message.getQueueId()
                    + ",\"queueOffset\":" + message.getQueueOffset() + ",\"body\":"
                    + json(new String(message.getBody(), StandardCharsets.UTF_8)) + ",\"msgId\":"
                    + json(message.getMsgId()) + ",\"tags\":" + json(message.getTags()) + ",\"keys\":"
                    + json(message.getKeys()) + ",\"shardingKey\":" + json(message.getProperty("__SHARDINGKEY"))
                    + ",\"reconsumeTimes\":" + message.getReconsumeTimes() + ",\"time\":"
                    + System.currentTimeMillis() + "}");
                if (count > 0) {
                    left.countDown();
                }
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        // Leaves in peace on SIGTERM too.
        Runtime.getRuntime().addShutdownHook(new Thread(consumer::shutdown));
        consumer.start();
        OUT.println("{\"type\":\"started\",\"clientId\":" + json(consumer.buildMQClientId()) + "}");
        boolean all = left.await(seconds, TimeUnit.SECONDS);
        if (count > 0 && !all) {
            System.err.println(left.getCount() + " of " + count + " messages did not come in " + seconds + " s");
            System.exit(1);
        }
    }

    private static void queues(String nameServer, String topic) throws Exception {
        DefaultMQProducer producer = producer(nameServer);
        List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
        SelectMessageQueueByHash byHash = new SelectMessageQueueByHash();
        BufferedReader keys = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String key = keys.readLine(); key != null; key = keys.readLine()) {
            MessageQueue queue = byHash.select(queues, null, key);
            OUT.println("{\"type\":\"queue\",\"key\":" + json(key) + ",\"brokerName\":" + json(queue.getBrokerName())
                + ",\"queueId\":" + queue.getQueueId() + "}");
        }
        producer.shutdown();
    }

    private static DefaultMQProducer producer(String nameServer) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("OrderlyPeer");
        producer.setMqClientApiTimeout(API_TIMEOUT_MS);
        producer.setNamesrvAddr(nameServer);
        producer.start();
        return producer;
    }

    /** Standard input is a pipe from the test; its end means that the test is gone. */
    private static void endWithParent() {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    continue;
                }
            } catch (java.io.IOException e) {
                System.err.println(e);
            }
            Runtime.getRuntime().halt(2);
        });
        watch.setDaemon(true);
        watch.start();
    }

    private static String json(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ') {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}
