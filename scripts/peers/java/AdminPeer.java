import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * RocketMQ's genuine admin tool, one process for many commands: each line of standard input is a command with its arguments, separated
 * by tabs. Behind what a command prints, on either stream, comes a line "done".
 */
public final class AdminPeer {
    public static void main(String[] args) throws Exception {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            MQAdminStartup.main0(line.split("\t"), null);
            System.out.println();
            System.out.println("done");
            System.out.flush();
        }
        System.exit(0);
    }
}
