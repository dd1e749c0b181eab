package apttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stepwell/stepwell/services/internal/apttest"
)

func TestProgramThatIsThereIsFound(t *testing.T) {
	t.Parallel()
	path, err := apttest.Program("go", "golang", "install Go")
	require.NoError(t, err)
	require.FileExists(t, path)
}

func TestMissingProgramSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", "")
	_, err := apttest.Program("redis-server", "redis-server", "install redis-server, or set TEST_REDIS_URL")
	require.EqualError(t, err, "redis-server is not installed: install redis-server, or set TEST_REDIS_URL")
}
