import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Paths;

/** Begins with the timed part: its time, and the CPU time of the whole process. */
final class PeerClock {
    private final OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private final double lasts;
    private final long cpu = system.getProcessCpuTime();
    private final long began = System.nanoTime();
    private double seconds;

    PeerClock(Given given) {
        lasts = given.seconds();
    }

    boolean isOver() {
        return (System.nanoTime() - began) / 1e9 >= lasts;
    }

    /** The figures that every round has. */
    String stop(int messages) {
        seconds = (System.nanoTime() - began) / 1e9;
        double micros = (system.getProcessCpuTime() - cpu) / 1e3 / messages;
        return "\"messages\":" + messages + ",\"perSecond\":" + messages / seconds + ",\"cpuMicros\":" + micros
            + ",\"rssMiB\":" + status("VmRSS");
    }

    double seconds() {
        return seconds;
    }

    /** A figure of the kernel's, in MiB. */
    static double status(String name) {
        try {
            return Files.readAllLines(Paths.get("/proc/self/status")).stream()
                .filter(line -> line.startsWith(name + ":"))
                .mapToDouble(line -> Double.parseDouble(line.split("\\s+")[1]) / 1024)
                .findFirst().orElse(0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
