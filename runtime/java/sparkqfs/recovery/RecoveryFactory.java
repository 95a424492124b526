package sparkqfs.recovery;

import java.nio.file.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.master.LeaderElectable;
import org.apache.spark.deploy.master.LeaderElectionAgent;
import org.apache.spark.deploy.master.MonarchyLeaderAgent;
import org.apache.spark.deploy.master.PersistenceEngine;
import org.apache.spark.deploy.master.StandaloneRecoveryModeFactory;
import org.apache.spark.serializer.Serializer;

/** `spark.deploy.recoveryMode.factory`: one master alone, its state in `spark.deploy.recoveryDirectory`. */
public final class RecoveryFactory extends StandaloneRecoveryModeFactory {
    private final Path directory;
    private final Serializer serializer;

    /** Spark calls this one. */
    public RecoveryFactory(SparkConf conf, Serializer serializer) {
        super(conf, serializer);
        this.directory = Path.of(conf.get("spark.deploy.recoveryDirectory"));
        this.serializer = serializer;
    }

    @Override
    public PersistenceEngine createPersistenceEngine() {
        return new RecoveryFiles(directory, serializer);
    }

    @Override
    public LeaderElectionAgent createLeaderElectionAgent(LeaderElectable master) {
        return new MonarchyLeaderAgent(master);
    }
}
