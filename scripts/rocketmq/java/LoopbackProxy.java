package org.apache.rocketmq.proxy.grpc;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.common.utils.AbstractStartAndShutdown;
import org.apache.rocketmq.proxy.ProxyStartup;
import org.apache.rocketmq.proxy.config.ConfigurationManager;
import org.apache.rocketmq.proxy.grpc.v2.GrpcMessagingApplication;
import org.apache.rocketmq.proxy.processor.MessagingProcessor;
import org.apache.rocketmq.proxy.service.cert.TlsCertificateManager;

/** Starts the proxy as its own main class does, but for this machine only: it knows no setting for the address that it listens on. */
public final class LoopbackProxy extends ProxyStartup {
    private static final long SHUTDOWN_SECONDS = 1;

    public static void main(String[] args) {
        try {
            start(args);
            System.out.println("boot success");
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1);
        }
    }

    private static void start(String[] args) throws Exception {
        initConfiguration(parseCommandLineArgument(args));
        initThreadPoolMonitor();
        MessagingProcessor processor = createMessagingProcessor();
        Method application = ProxyStartup.class.getDeclaredMethod("createServiceProcessor", MessagingProcessor.class);
        application.setAccessible(true);
        Field all = ProxyStartup.class.getDeclaredField("PROXY_START_AND_SHUTDOWN");
        all.setAccessible(true);
        AbstractStartAndShutdown parts = (AbstractStartAndShutdown) all.get(null);

        TlsCertificateManager certificates = new TlsCertificateManager();
        int port = ConfigurationManager.getProxyConfig().getGrpcServerPort();
        GrpcServerBuilder builder = GrpcServerBuilder.newBuilder(createServerExecutor(), port, certificates)
            .addService((GrpcMessagingApplication) application.invoke(null, processor))
            .configInterceptor()
            .shutdownTime(SHUTDOWN_SECONDS, TimeUnit.SECONDS);
        Field addresses = builder.serverBuilder.getClass().getDeclaredField("listenAddresses");
        addresses.setAccessible(true);
        @SuppressWarnings("unchecked")
        List<SocketAddress> listened = (List<SocketAddress>) addresses.get(builder.serverBuilder);
        listened.clear();
        listened.add(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        GrpcServer server = builder.build();
        certificates.start();
        parts.start();
        server.start();
    }
}
