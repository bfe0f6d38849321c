import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.producer.Producer;

/**
 * The genuine Java client for gRPC at work: sends one message for each line of standard input, whose message group it is.
 *
 * <pre>GroupPeer PROXY TOPIC</pre>
 */
public final class GroupPeer {
    /** Long enough for a busy machine, where 3 s are the default. */
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(30);

    public static void main(String[] args) {
        try {
            send(args[0], args[1]);
        } catch (Throwable e) {
            // The client's threads would keep the process.
            e.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    private static void send(String proxy, String topic) throws Exception {
        ClientServiceProvider provider = ClientServiceProvider.loadService();
        ClientConfiguration configuration = ClientConfiguration.newBuilder()
            .setEndpoints(proxy)
            .enableSsl(false)
            .setRequestTimeout(REQUEST_TIMEOUT)
            .build();
        BufferedReader groups = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (Producer producer =
                provider.newProducerBuilder().setClientConfiguration(configuration).setTopics(topic).build()) {
            for (String group = groups.readLine(); group != null; group = groups.readLine()) {
                byte[] body = group.getBytes(StandardCharsets.UTF_8);
                producer.send(
                    provider.newMessageBuilder().setTopic(topic).setMessageGroup(group).setBody(body).build());
            }
        }
    }
}
