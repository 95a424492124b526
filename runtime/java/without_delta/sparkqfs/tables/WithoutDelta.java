package sparkqfs.tables;

import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SQLContext;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.execution.streaming.Sink;
import org.apache.spark.sql.execution.streaming.Source;
import org.apache.spark.sql.sources.BaseRelation;
import org.apache.spark.sql.sources.CreatableRelationProvider;
import org.apache.spark.sql.sources.DataSourceRegister;
import org.apache.spark.sql.sources.RelationProvider;
import org.apache.spark.sql.sources.SchemaRelationProvider;
import org.apache.spark.sql.sources.StreamSinkProvider;
import org.apache.spark.sql.sources.StreamSourceProvider;
import org.apache.spark.sql.streaming.OutputMode;
import org.apache.spark.sql.types.StructType;
import scala.Option;
import scala.Tuple2;
import scala.collection.immutable.Map;
import scala.collection.immutable.Seq;

/**
 * The format {@code delta} where Delta is not there: every use of it says what to do. A program that brings Delta's own
 * packages along gets those: of several formats of one name Spark takes the one in its own package, as Delta's is.
 */
public final class WithoutDelta implements DataSourceRegister, RelationProvider, SchemaRelationProvider,
        CreatableRelationProvider, StreamSourceProvider, StreamSinkProvider {
    private static UnsupportedOperationException missing() {
        return new UnsupportedOperationException("this cluster has no Delta. Write `delta: true` below `spark:` in the "
            + "cluster file (hosts.yml or sparkqfs.yml), then run `invoke up`");
    }

    @Override
    public String shortName() {
        return "delta";
    }

    @Override
    public BaseRelation createRelation(SQLContext context, Map<String, String> options) {
        throw missing();
    }

    @Override
    public BaseRelation createRelation(SQLContext context, Map<String, String> options, StructType schema) {
        throw missing();
    }

    @Override
    public BaseRelation createRelation(
            SQLContext context, SaveMode mode, Map<String, String> options, Dataset<Row> rows) {
        throw missing();
    }

    @Override
    public Tuple2<String, StructType> sourceSchema(
            SQLContext context, Option<StructType> schema, String name, Map<String, String> options) {
        throw missing();
    }

    @Override
    public Source createSource(
            SQLContext context, String place, Option<StructType> schema, String name, Map<String, String> options) {
        throw missing();
    }

    @Override
    public Sink createSink(
            SQLContext context, Map<String, String> options, Seq<String> partitions, OutputMode mode) {
        throw missing();
    }
}
