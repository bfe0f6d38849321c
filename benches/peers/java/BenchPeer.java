import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;

/** The rounds of the genuine Java client: a line "name=value name=value …" asks for one, a line of JSON answers. */
public final class BenchPeer {
    private static DefaultMQPushConsumer member;

    public static void main(String[] args) {
        try {
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Given given = new Given(line);
                System.out.println("{" + round(given) + "}");
            }
        } catch (Throwable e) {
            e.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    private static String round(Given given) throws Exception {
        switch (given.text("workload")) {
            case "await":
                return Sending.awaited(given);
            case "burst":
                return given.has("batch") ? Sending.batches(given) : Sending.burst(given);
            case "keys":
                return Sending.keys(given);
            case "mixed":
                return Sending.mixed(given);
            case "drain":
                return Consuming.drain(given);
            case "latency":
                return Consuming.latency(given);
            case "memory":
                return Consuming.memory(given);
            case "cold":
                return Sending.cold(given);
            case "join":
                member = Consuming.consumer(given, message ->
                    System.out.println("{\"handled\":" + PeerBody.key(message.getBody()) + "}"));
                return "\"joined\":true";
            case "leave":
                member.shutdown();
                return "\"left\":true";
            default:
                throw new IllegalArgumentException(given.text("workload"));
        }
    }
}
