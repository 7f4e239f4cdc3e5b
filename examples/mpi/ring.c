/* Sends a number around all ranks, and adds all ranks up: real messages between the nodes of a job. */

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int rank, size, token = 1, sum = 0;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);

    /* Rank 0 begins; every rank doubles what it gets and passes it on, the last one back to rank 0. */
    int next = (rank + 1) % size, previous = (rank + size - 1) % size;
    if (rank > 0) {
        MPI_Recv(&token, 1, MPI_INT, previous, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        token = token * 2 % 10007;
    }
    if (size > 1)
        MPI_Send(&token, 1, MPI_INT, next, 0, MPI_COMM_WORLD);
    if (rank == 0 && size > 1)
        MPI_Recv(&token, 1, MPI_INT, previous, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);

    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);

    const char *node = getenv("SLURMD_NODENAME");
    printf("rank %d of %d: token %d, sum %d, on %s\n", rank, size, token, sum, node ? node : "?");
    if (argc > 1)
        MPI_Abort(MPI_COMM_WORLD, atoi(argv[1]));
    MPI_Finalize();
    return 0;
}
