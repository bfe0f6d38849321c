import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** One round of the genuine Java client: NAMESRV TOPIC WORKLOAD MESSAGES BODY_BYTES. The last line is what was measured, as JSON. */
public final class BenchPeer {
    private static final int KEYS = 64;
    private static final int WARM_UP = 500;
    private static final int TIMEOUT_MS = 60_000;
    private static final SelectMessageQueueByHash BY_HASH = new SelectMessageQueueByHash();

    private static String topic;
    private static byte[] body;

    public static void main(String[] args) {
        try {
            topic = args[1];
            int messages = Integer.parseInt(args[3]);
            body = new byte[Integer.parseInt(args[4])];
            Arrays.fill(body, (byte) 'x');
            switch (args[2]) {
                case "await":
                    awaited(args[0], messages);
                    break;
                case "burst":
                    burst(args[0], messages);
                    break;
                case "keys":
                    keys(args[0], messages);
                    break;
                case "drain":
                    drain(args[0], messages);
                    break;
                default:
                    throw new IllegalArgumentException(args[2]);
            }
        } catch (Throwable e) {
            e.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    private static void awaited(String nameServer, int messages) throws Exception {
        DefaultMQProducer producer = producer(nameServer);
        long[] nanos = new long[messages];
        Order order = new Order();
        Clock clock = new Clock();
        for (int i = 0; i < messages; i++) {
            long began = System.nanoTime();
            SendResult result = producer.send(new Message(topic, body), BY_HASH, "one", TIMEOUT_MS);
            nanos[i] = System.nanoTime() - began;
            order.see(result.getMessageQueue().getQueueId(), result.getQueueOffset());
        }
        clock.stop(messages);
        Arrays.sort(nanos);
        clock.tell(",\"p50Micros\":" + nanos[messages / 2] / 1_000 + ",\"p99Micros\":" + nanos[messages / 100 * 99] / 1_000
            + order.text());
        producer.shutdown();
    }

    /** The offsets in the order of the calls: what is stored in another order is an inversion. */
    private static void burst(String nameServer, int messages) throws Exception {
        DefaultMQProducer producer = producer(nameServer);
        long[] offsets = new long[messages];
        CountDownLatch left = new CountDownLatch(messages);
        AtomicInteger failed = new AtomicInteger();
        Clock clock = new Clock();
        for (int i = 0; i < messages; i++) {
            int place = i;
            SendCallback callback = new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    offsets[place] = result.getQueueOffset();
                    left.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    failed.incrementAndGet();
                    left.countDown();
                }
            };
            while (!sent(producer, callback)) {
                Thread.sleep(1);
            }
        }
        left.await();
        clock.stop(messages);
        Order order = new Order();
        for (long offset : offsets) {
            order.see(0, offset);
        }
        clock.tell(order.text() + ",\"failed\":" + failed.get());
        producer.shutdown();
    }

    /** The client refuses a send when 50 000 wait for its threads; whoever sends more has to try again. */
    private static boolean sent(DefaultMQProducer producer, SendCallback callback) throws Exception {
        try {
            producer.send(new Message(topic, body), BY_HASH, "one", callback, TIMEOUT_MS);
            return true;
        } catch (MQClientException e) {
            if (String.valueOf(e.getMessage()).contains("executor rejected")) {
                return false;
            }
            throw e;
        }
    }

    private static void keys(String nameServer, int messages) throws Exception {
        DefaultMQProducer producer = producer(nameServer);
        AtomicInteger left = new AtomicInteger(messages);
        Thread[] loops = new Thread[KEYS];
        Clock clock = new Clock();
        for (int i = 0; i < KEYS; i++) {
            String key = "key-" + i;
            loops[i] = new Thread(() -> {
                try {
                    while (left.getAndDecrement() > 0) {
                        producer.send(new Message(topic, body), BY_HASH, key, TIMEOUT_MS);
                    }
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            });
            loops[i].start();
        }
        for (Thread loop : loops) {
            loop.join();
        }
        clock.stop(messages);
        clock.tell(",\"perRequest\":1");
        producer.shutdown();
    }

    private static void drain(String nameServer, int messages) throws Exception {
        CountDownLatch left = new CountDownLatch(messages);
        Order order = new Order();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("GID_bench_java_" + System.currentTimeMillis());
        consumer.setNamesrvAddr(nameServer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (batch, context) -> {
            for (MessageExt message : batch) {
                order.see(message.getQueueId(), message.getQueueOffset());
                left.countDown();
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        Clock clock = new Clock();
        consumer.start();
        left.await();
        clock.stop(messages);
        clock.tell(order.text());
        consumer.shutdown();
    }

    private static DefaultMQProducer producer(String nameServer) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("GID_bench_java");
        producer.setNamesrvAddr(nameServer);
        producer.start();
        for (int i = 0; i < WARM_UP; i++) {
            producer.send(new Message(topic, body), BY_HASH, "warm-up-" + i, TIMEOUT_MS);
        }
        return producer;
    }

    /** Offsets that are not above the one before them, by queue. */
    private static final class Order {
        private final Map<Integer, Long> last = new ConcurrentHashMap<>();
        private final AtomicLong inversions = new AtomicLong();

        void see(int queueId, long offset) {
            Long before = last.put(queueId, offset);
            if (before != null && offset <= before) {
                inversions.incrementAndGet();
            }
        }

        String text() {
            return ",\"inversions\":" + inversions.get();
        }
    }

    /** The time, and the CPU time of the whole process. */
    private static final class Clock {
        private final OperatingSystemMXBean system =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        private final long cpu = system.getProcessCpuTime();
        private final long began = System.nanoTime();
        private String text;

        void stop(int messages) {
            double seconds = (System.nanoTime() - began) / 1e9;
            double micros = (system.getProcessCpuTime() - cpu) / 1e3 / messages;
            text = "\"perSecond\":" + messages / seconds + ",\"cpuMicros\":" + micros;
        }

        void tell(String more) {
            System.out.println("{" + text + more + "}");
        }
    }
}
