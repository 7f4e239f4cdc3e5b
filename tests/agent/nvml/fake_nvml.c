/* A libnvidia-ml.so.1 that answers from a text file, for tests of what talks to NVML by the real pynvml.
 *
 * FAKE_NVML_STATE names the file; it is read again whenever it changed, so that a test can alter the machine
 * while this library is loaded. Without the variable nvmlInit fails as without a driver. fake.py describes
 * the keys of the file.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, TIMED_OUT = 10, GPU_IS_LOST = 15, UNKNOWN = 999
};

enum { MAX_GPUS = 16, MAX_SLICES = 16, MAX_ENTRIES = 2048, KEY = 96, VALUE = 512, LEVEL_NODE = 40, LEVEL_SYSTEM = 50 };

typedef unsigned long long u64;
typedef struct { int gpu; int slice; } Handle; /* slice -1: the GPU itself */

typedef struct {
    char bus_id_legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} Pci;
typedef struct { u64 total, free, used; } Memory;
typedef struct { unsigned version; u64 total, reserved, free, used; } Memory2;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } Process;
typedef struct { unsigned pid; u64 at_us; unsigned sm, memory, encoder, decoder; } ProcessUse;
typedef struct { Handle *device; u64 type, data; unsigned gpu_instance, compute_instance; } Event;
typedef struct { long seen; unsigned registered; } EventSet;
typedef struct { Handle device; u64 at_us; double values[512]; char known[512]; } Sample;
typedef struct { unsigned id; int result; double value; const char *names[3]; } Metric;
typedef struct { unsigned version, n; Sample *first, *second; Metric metrics[]; } Metrics;
typedef struct { unsigned version, supported; } GpmSupport;
typedef struct {
    unsigned multiprocessors, copy_engines, decoders, encoders, jpegs, ofas, gpu_slices, compute_slices;
    u64 memory_mb;
} Attributes;
typedef struct {
    unsigned version, id, p2p, slices, instances, multiprocessors, copy_engines, decoders, encoders, jpegs, ofas;
    u64 memory_mb;
    char name[96];
} Profile;
typedef struct { unsigned start, size; } Place;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { char key[KEY], value[VALUE]; } entries[MAX_ENTRIES];
static int n_entries;
static struct { ino_t inode; off_t size; struct timespec changed; } read_as;
static int references;
static int present[MAX_GPUS], n_present; /* as nvmlInit found them */
static Handle gpus[MAX_GPUS], slices[MAX_GPUS][MAX_SLICES];
static u64 energy_mj_x1000[MAX_GPUS], energy_at_us;

static u64 monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (u64)now.tv_sec * 1000000 + (u64)now.tv_nsec / 1000;
}

static const char *find(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value of a key, NULL where the file has none. The caller holds the lock. */
static const char *find(const char *format, ...)
{
    char key[KEY];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(key, sizeof key, format, arguments);
    va_end(arguments);
    for (int i = 0; i < n_entries; i++)
        if (!strcmp(entries[i].key, key))
            return entries[i].value;
    return NULL;
}

static u64 number_or(const char *text, u64 otherwise)
{
    return text ? strtoull(text, NULL, 0) : otherwise; /* "-1" becomes the largest number: garbage on purpose */
}

/* Power is drawn between two looks as the state said before the second. */
static void count_energy(void)
{
    u64 now = monotonic_us();
    for (int gpu = 0; gpu < MAX_GPUS && energy_at_us; gpu++)
        energy_mj_x1000[gpu] += number_or(find("gpu%d.power_mw", gpu), 0) * (now - energy_at_us) / 1000;
    energy_at_us = now;
}

static void refresh(void)
{
    const char *path = getenv("FAKE_NVML_STATE");
    struct stat status;
    if (!path || stat(path, &status))
        return;
    if (status.st_ino == read_as.inode && status.st_size == read_as.size
        && !memcmp(&status.st_mtim, &read_as.changed, sizeof status.st_mtim))
        return;
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    count_energy();
    read_as.inode = status.st_ino, read_as.size = status.st_size, read_as.changed = status.st_mtim;
    char line[KEY + VALUE + 8];
    for (n_entries = 0; n_entries < MAX_ENTRIES && fgets(line, sizeof line, file);)
        if (sscanf(line, " %95[^= \t\n] = %511[^\n]", entries[n_entries].key, entries[n_entries].value) == 2
            && line[0] != '#')
            n_entries++;
    fclose(file);
}

static void sleep_s(double seconds)
{
    struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

/* What every call does first: the trouble the file wants of it. Takes the lock, and keeps it if it says OK. */
static int enter(const char *function, const Handle *device)
{
    int gpu = device ? device->gpu : -1;
    pthread_mutex_lock(&lock);
    refresh();
    const char *hang = gpu >= 0 ? find("gpu%d.hang.%s", gpu, function) : NULL;
    hang = hang ? hang : find("hang.%s", function);
    if (hang) {
        double seconds = atof(hang);
        pthread_mutex_unlock(&lock);
        sleep_s(seconds);
        pthread_mutex_lock(&lock);
        refresh();
    }
    u64 error = number_or(find("error.%s", function), OK);
    if (!error && !references && strncmp(function, "nvmlInit", 8))
        error = UNINITIALIZED;
    if (!error && gpu >= 0) {
        error = number_or(find("gpu%d.error.%s", gpu, function), OK);
        error = error ? error : number_or(find("gpu%d.error", gpu), OK);
        if (!error && (find("gpu%d.lost", gpu) || find("gpu%d.absent", gpu)))
            error = GPU_IS_LOST;
    }
    if (error)
        pthread_mutex_unlock(&lock);
    return (int)error;
}

static int leave(int result)
{
    pthread_mutex_unlock(&lock);
    return result;
}

#define ENTER(device)                              \
    do {                                           \
        int trouble = enter(__func__, (device));   \
        if (trouble)                               \
            return trouble;                        \
    } while (0)

/* A call that gives one number, supported only where the file has it. */
#define NUMBER(function, type, key)                               \
    int function(Handle *device, type *out)                       \
    {                                                             \
        ENTER(device);                                            \
        const char *text = find("gpu%d." key, device->gpu);       \
        if (text)                                                 \
            *out = (type)number_or(text, 0);                      \
        return leave(text ? OK : NOT_SUPPORTED);                  \
    }

static int start(const char *function)
{
    if (!getenv("FAKE_NVML_STATE"))
        return DRIVER_NOT_LOADED;
    int trouble = enter(function, NULL);
    if (trouble)
        return trouble;
    if (references++ == 0) {
        int n = (int)number_or(find("gpus"), 0);
        n_present = 0;
        for (int gpu = 0; gpu < n && gpu < MAX_GPUS; gpu++) {
            gpus[gpu] = (Handle){gpu, -1};
            for (int slice = 0; slice < MAX_SLICES; slice++)
                slices[gpu][slice] = (Handle){gpu, slice};
            if (!find("gpu%d.absent", gpu))
                present[n_present++] = gpu;
        }
        count_energy();
    }
    return leave(OK);
}

int nvmlInit_v2(void) { return start(__func__); }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return start(__func__); }

int nvmlShutdown(void)
{
    ENTER(NULL);
    references--;
    return leave(OK);
}

const char *nvmlErrorString(int result)
{
    switch (result) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case TIMED_OUT: return "Timeout";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

static int text_out(const char *text, char *out, unsigned size)
{
    if (strlen(text) >= size)
        return leave(INSUFFICIENT_SIZE);
    strcpy(out, text);
    return leave(OK);
}

int nvmlSystemGetDriverVersion(char *out, unsigned size)
{
    ENTER(NULL);
    const char *text = find("driver");
    return text_out(text ? text : "550.54.15", out, size);
}

int nvmlSystemGetNVMLVersion(char *out, unsigned size)
{
    ENTER(NULL);
    const char *text = find("nvml");
    return text_out(text ? text : "12.550.54.15", out, size);
}

int nvmlDeviceGetCount_v2(unsigned *out)
{
    ENTER(NULL);
    *out = (unsigned)number_or(find("count"), (u64)n_present);
    return leave(OK);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Handle **out)
{
    Handle wanted = {index < (unsigned)n_present ? present[index] : -1, -1};
    ENTER(&wanted);
    if (wanted.gpu < 0)
        return leave(INVALID_ARGUMENT);
    *out = &gpus[wanted.gpu];
    return leave(OK);
}

static void name_of(const Handle *device, char *out, size_t size)
{
    const char *name = find("gpu%d.name", device->gpu);
    const char *profile = device->slice < 0 ? NULL : find("gpu%d.mig%d", device->gpu, device->slice);
    snprintf(out, size, "%s%s%s", name ? name : "NVIDIA H200", profile ? " MIG " : "", profile ? profile : "");
}

static void uuid_of(const Handle *device, char *out, size_t size)
{
    const char *uuid = device->slice < 0 ? find("gpu%d.uuid", device->gpu)
                                         : find("gpu%d.mig%d.uuid", device->gpu, device->slice);
    if (uuid)
        snprintf(out, size, "%s", uuid);
    else if (device->slice < 0)
        snprintf(out, size, "GPU-00000000-0000-4000-8000-%012d", device->gpu);
    else
        snprintf(out, size, "MIG-00000000-0000-4000-8000-%08d%04d", device->gpu, device->slice);
}

int nvmlDeviceGetName(Handle *device, char *out, unsigned size)
{
    char name[VALUE];
    ENTER(device);
    name_of(device, name, sizeof name);
    return text_out(name, out, size);
}

int nvmlDeviceGetUUID(Handle *device, char *out, unsigned size)
{
    char uuid[VALUE];
    ENTER(device);
    uuid_of(device, uuid, sizeof uuid);
    return text_out(uuid, out, size);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Handle **out)
{
    char own[VALUE];
    ENTER(NULL);
    for (int i = 0; i < n_present; i++)
        for (int slice = -1; slice < MAX_SLICES; slice++) {
            Handle *device = slice < 0 ? &gpus[present[i]] : &slices[present[i]][slice];
            uuid_of(device, own, sizeof own);
            if (!strcmp(own, uuid) && (slice < 0 || find("gpu%d.mig%d", device->gpu, slice))) {
                *out = device;
                return leave(find("gpu%d.lost", device->gpu) ? GPU_IS_LOST : OK);
            }
        }
    return leave(NOT_FOUND);
}

int nvmlDeviceGetIndex(Handle *device, unsigned *out)
{
    ENTER(device);
    for (int i = 0; i < n_present; i++)
        if (present[i] == device->gpu)
            *out = (unsigned)i;
    return leave(OK);
}

int nvmlDeviceGetMinorNumber(Handle *device, unsigned *out)
{
    ENTER(device);
    *out = (unsigned)number_or(find("gpu%d.minor", device->gpu), (u64)device->gpu);
    return leave(OK);
}

static void pci_of(int gpu, Pci *out)
{
    char otherwise[32];
    snprintf(otherwise, sizeof otherwise, "00000000:%02X:00.0", 0x10 + gpu);
    const char *text = find("gpu%d.pci", gpu);
    memset(out, 0, sizeof *out);
    snprintf(out->bus_id, sizeof out->bus_id, "%s", text ? text : otherwise);
    sscanf(out->bus_id, "%x:%x:%x", &out->domain, &out->bus, &out->device);
    snprintf(out->bus_id_legacy, sizeof out->bus_id_legacy, "%04X:%02X:%02X.0", out->domain & 0xffff, out->bus & 0xff,
             out->device & 0xff);
}

int nvmlDeviceGetPciInfo_v3(Handle *device, Pci *out)
{
    ENTER(device);
    pci_of(device->gpu, out);
    return leave(OK);
}

static void memory_of(const Handle *device, u64 *total, u64 *used)
{
    const u64 mib = 1 << 20;
    if (device->slice >= 0) {
        *total = number_or(find("gpu%d.mig%d.mem_total_mib", device->gpu, device->slice), 18 << 10) * mib;
        *used = number_or(find("gpu%d.mig%d.mem_used_mib", device->gpu, device->slice), 0) * mib;
        return;
    }
    *total = number_or(find("gpu%d.mem_total_mib", device->gpu), 143771) * mib;
    *used = number_or(find("gpu%d.mem_used_mib", device->gpu), 0) * mib;
    *total = number_or(find("gpu%d.mem_total_bytes", device->gpu), *total);
    *used = number_or(find("gpu%d.mem_used_bytes", device->gpu), *used);
}

int nvmlDeviceGetMemoryInfo(Handle *device, Memory *out)
{
    ENTER(device);
    memory_of(device, &out->total, &out->used);
    out->free = out->total - out->used;
    return leave(OK);
}

int nvmlDeviceGetMemoryInfo_v2(Handle *device, Memory2 *out)
{
    ENTER(device);
    memory_of(device, &out->total, &out->used);
    out->reserved = 0;
    out->free = out->total - out->used;
    return leave(OK);
}

int nvmlDeviceGetUtilizationRates(Handle *device, Utilization *out)
{
    ENTER(device);
    if (device->slice >= 0 || find("gpu%d.mig", device->gpu)) /* as the real one does in MIG mode */
        return leave(NOT_SUPPORTED);
    out->gpu = (unsigned)number_or(find("gpu%d.util", device->gpu), 0);
    out->memory = (unsigned)number_or(find("gpu%d.util_mem", device->gpu), 0);
    return leave(OK);
}

NUMBER(nvmlDeviceGetPowerUsage, unsigned, "power_mw")
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, "power_limit_mw")
NUMBER(nvmlDeviceGetNumGpuCores, unsigned, "cores")
NUMBER(nvmlDeviceGetRetiredPagesPendingStatus, unsigned, "retired_pending")
NUMBER(nvmlDeviceGetMaxMigDeviceCount, unsigned, "mig_max")

int nvmlDeviceGetTotalEnergyConsumption(Handle *device, u64 *out)
{
    ENTER(device);
    count_energy();
    *out = number_or(find("gpu%d.energy_mj", device->gpu), energy_mj_x1000[device->gpu] / 1000);
    return leave(OK);
}

int nvmlDeviceGetTemperature(Handle *device, int sensor, unsigned *out)
{
    (void)sensor;
    ENTER(device);
    *out = (unsigned)number_or(find("gpu%d.celsius", device->gpu), 35);
    return leave(OK);
}

static const char *const CLOCKS[] = {"graphics", "sm", "mem", "video"};

int nvmlDeviceGetClockInfo(Handle *device, unsigned clock, unsigned *out)
{
    ENTER(device);
    if (clock > 3)
        return leave(INVALID_ARGUMENT);
    *out = (unsigned)number_or(find("gpu%d.clock.%s", device->gpu, CLOCKS[clock]), 1980);
    return leave(OK);
}

int nvmlDeviceGetMaxClockInfo(Handle *device, unsigned clock, unsigned *out)
{
    ENTER(device);
    if (clock > 3)
        return leave(INVALID_ARGUMENT);
    *out = (unsigned)number_or(find("gpu%d.max_clock.%s", device->gpu, CLOCKS[clock]), 1980);
    return leave(OK);
}

int nvmlDeviceGetCudaComputeCapability(Handle *device, int *major, int *minor)
{
    ENTER(device);
    const char *text = find("gpu%d.capability", device->gpu);
    sscanf(text ? text : "9.0", "%d.%d", major, minor);
    return leave(OK);
}

/* "4711:512 4712:-1:7": process, MiB (-1: not known), GPU instance */
static int processes(const Handle *device, const char *key, unsigned *n, Process *out)
{
    const char *text = find("gpu%d.%s", device->gpu, key);
    Process found[128];
    unsigned count = 0;
    int used;
    long long mib;
    for (text = text ? text : ""; count < 128; text += used) {
        Process *one = &found[count];
        int read = sscanf(text, " %u:%lli%n", &one->pid, &mib, &used);
        if (read != 2)
            break;
        one->used = mib < 0 ? (u64)-1 : (u64)mib << 20;
        one->gpu_instance = one->compute_instance = 0xffffffff;
        if (text[used] == ':') {
            int more = 0;
            sscanf(text + used, ":%u%n", &one->gpu_instance, &more);
            used += more;
            one->compute_instance = 0;
        }
        if (device->slice < 0
            || one->gpu_instance == number_or(find("gpu%d.mig%d.gi", device->gpu, device->slice), (u64)device->slice + 7))
            count++;
    }
    unsigned room = *n;
    *n = count;
    if (count > room || (count && !out))
        return leave(INSUFFICIENT_SIZE);
    if (count)
        memcpy(out, found, count * sizeof *out);
    return leave(OK);
}

int nvmlDeviceGetComputeRunningProcesses_v3(Handle *device, unsigned *n, Process *out)
{
    ENTER(device);
    return processes(device, "compute", n, out);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(Handle *device, unsigned *n, Process *out)
{
    ENTER(device);
    return processes(device, "graphics", n, out);
}

/* "4711:40 4712:10": process, per cent of the multiprocessors */
int nvmlDeviceGetProcessUtilization(Handle *device, ProcessUse *out, unsigned *n, u64 since_us)
{
    ENTER(device);
    const char *text = find("gpu%d.process_util", device->gpu);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned count = 0, pid, sm, room = out ? *n : 0;
    int used;
    for (text = text ? text : ""; sscanf(text, " %u:%u%n", &pid, &sm, &used) == 2; text += used, count++)
        if (count < room)
            out[count] = (ProcessUse){pid, (u64)now.tv_sec * 1000000 + (u64)now.tv_nsec / 1000, sm, 0, 0, 0};
    (void)since_us;
    *n = count;
    return leave(!count ? NOT_FOUND : count > room ? INSUFFICIENT_SIZE : OK);
}

int nvmlDeviceGetMigMode(Handle *device, unsigned *now, unsigned *pending)
{
    ENTER(device);
    const char *text = find("gpu%d.mig", device->gpu);
    if (!text && !find("gpu%d.mig_max", device->gpu))
        return leave(NOT_SUPPORTED);
    *now = (unsigned)number_or(text, 0);
    *pending = (unsigned)number_or(find("gpu%d.mig_pending", device->gpu), *now);
    return leave(OK);
}

int nvmlDeviceGetMigDeviceHandleByIndex(Handle *device, unsigned index, Handle **out)
{
    ENTER(device);
    if (index >= MAX_SLICES || !number_or(find("gpu%d.mig", device->gpu), 0)
        || !find("gpu%d.mig%u", device->gpu, index))
        return leave(NOT_FOUND);
    *out = &slices[device->gpu][index];
    return leave(OK);
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Handle *device, Handle **out)
{
    ENTER(device);
    *out = &gpus[device->gpu];
    return leave(device->slice < 0 ? INVALID_ARGUMENT : OK);
}

int nvmlDeviceIsMigDeviceHandle(Handle *device, unsigned *out)
{
    ENTER(device);
    *out = device->slice >= 0;
    return leave(OK);
}

int nvmlDeviceGetGpuInstanceId(Handle *device, unsigned *out)
{
    ENTER(device);
    if (device->slice < 0)
        return leave(INVALID_ARGUMENT);
    *out = (unsigned)number_or(find("gpu%d.mig%d.gi", device->gpu, device->slice), (u64)device->slice + 7);
    return leave(OK);
}

int nvmlDeviceGetComputeInstanceId(Handle *device, unsigned *out)
{
    ENTER(device);
    *out = 0;
    return leave(device->slice < 0 ? INVALID_ARGUMENT : OK);
}

int nvmlDeviceGetAttributes_v2(Handle *device, Attributes *out)
{
    ENTER(device);
    const char *profile = device->slice < 0 ? NULL : find("gpu%d.mig%d", device->gpu, device->slice);
    if (!profile)
        return leave(NOT_SUPPORTED);
    u64 total, used;
    memory_of(device, &total, &used);
    *out = (Attributes){.gpu_slices = (unsigned)atoi(profile), .compute_slices = (unsigned)atoi(profile),
                        .memory_mb = total >> 20};
    return leave(OK);
}

/* "19 1 18432 7 1g.18gb": id, slices, MiB, how many fit, name */
int nvmlDeviceGetGpuInstanceProfileInfoV(Handle *device, unsigned profile, Profile *out)
{
    ENTER(device);
    const char *text = find("gpu%d.profile%u", device->gpu, profile);
    Profile found = {.version = out->version};
    if (!text || sscanf(text, "%u %u %llu %u %95s", &found.id, &found.slices, &found.memory_mb, &found.instances,
                        found.name) != 5)
        return leave(NOT_SUPPORTED);
    *out = found;
    return leave(OK);
}

/* What link i of a GPU goes to: "gpu1 gpu1 switch off" */
static const char *link_of(int gpu, unsigned link, char *word)
{
    const char *text = find("gpu%d.nvlinks", gpu);
    int used;
    for (; text && sscanf(text, " %31s%n", word, &used) == 1; text += used)
        if (link-- == 0)
            return word;
    return NULL;
}

int nvmlDeviceGetNvLinkState(Handle *device, unsigned link, unsigned *out)
{
    char word[32];
    ENTER(device);
    if (!link_of(device->gpu, link, word))
        return leave(find("gpu%d.nvlinks", device->gpu) ? INVALID_ARGUMENT : NOT_SUPPORTED);
    *out = strcmp(word, "off") != 0;
    return leave(OK);
}

int nvmlDeviceGetNvLinkRemoteDeviceType(Handle *device, unsigned link, unsigned *out)
{
    char word[32];
    ENTER(device);
    if (!link_of(device->gpu, link, word))
        return leave(NOT_SUPPORTED);
    *out = !strncmp(word, "gpu", 3) ? 0 : !strcmp(word, "switch") ? 2 : 0xff;
    return leave(OK);
}

int nvmlDeviceGetNvLinkRemotePciInfo_v2(Handle *device, unsigned link, Pci *out)
{
    char word[32];
    ENTER(device);
    if (!link_of(device->gpu, link, word) || !strcmp(word, "off"))
        return leave(NOT_SUPPORTED);
    memset(out, 0, sizeof *out);
    if (!strncmp(word, "gpu", 3))
        pci_of(atoi(word + 3), out);
    else
        snprintf(out->bus_id, sizeof out->bus_id, "00000000:F0:00.0");
    return leave(OK);
}

int nvmlDeviceGetP2PStatus(Handle *one, Handle *other, int caps, int *out)
{
    char word[32], wanted[32];
    ENTER(one);
    int direct = 0, mine = 0, theirs = 0;
    snprintf(wanted, sizeof wanted, "gpu%d", other->gpu);
    for (unsigned i = 0; link_of(one->gpu, i, word); i++)
        direct |= !strcmp(word, wanted), mine |= !strcmp(word, "switch");
    for (unsigned i = 0; link_of(other->gpu, i, word); i++)
        theirs |= !strcmp(word, "switch");
    *out = caps == 2 && !direct && !(mine && theirs) ? 5 : 0;
    return leave(OK);
}

int nvmlDeviceGetTopologyCommonAncestor(Handle *one, Handle *other, int *out)
{
    ENTER(one);
    const char *text = find("topology.%d.%d", one->gpu, other->gpu);
    text = text ? text : find("topology.%d.%d", other->gpu, one->gpu);
    u64 here = number_or(find("gpu%d.numa", one->gpu), 0), there = number_or(find("gpu%d.numa", other->gpu), 0);
    *out = (int)number_or(text, here == there ? LEVEL_NODE : LEVEL_SYSTEM);
    return leave(OK);
}

int nvmlDeviceGetMemoryAffinity(Handle *device, unsigned n, unsigned long *out, unsigned scope)
{
    (void)scope;
    ENTER(device);
    const char *text = find("gpu%d.numa", device->gpu);
    unsigned node = (unsigned)number_or(text, 0);
    if (!text || node >= 64 * n)
        return leave(NOT_SUPPORTED);
    memset(out, 0, n * sizeof *out);
    out[node / 64] = 1ul << node % 64;
    return leave(OK);
}

int nvmlDeviceGetEccMode(Handle *device, unsigned *now, unsigned *pending)
{
    ENTER(device);
    const char *text = find("gpu%d.ecc", device->gpu);
    if (!text)
        return leave(NOT_SUPPORTED);
    *now = *pending = (unsigned)number_or(text, 0);
    return leave(OK);
}

int nvmlDeviceGetTotalEccErrors(Handle *device, unsigned kind, unsigned counter, u64 *out)
{
    ENTER(device);
    if (!number_or(find("gpu%d.ecc", device->gpu), 0))
        return leave(NOT_SUPPORTED);
    *out = number_or(find("gpu%d.ecc_%s_%s", device->gpu, kind ? "uncorrected" : "corrected",
                          counter ? "aggregate" : "volatile"), 0);
    return leave(OK);
}

/* "1 0 0 0": rows remapped after corrected and after uncorrected errors, one pending, one that failed */
int nvmlDeviceGetRemappedRows(Handle *device, unsigned *corrected, unsigned *uncorrected, unsigned *pending,
                              unsigned *failed)
{
    ENTER(device);
    const char *text = find("gpu%d.remapped", device->gpu);
    if (!text || sscanf(text, "%u %u %u %u", corrected, uncorrected, pending, failed) != 4)
        return leave(NOT_SUPPORTED);
    return leave(OK);
}

/* -- events: "event.3 = 1 8 79": GPU, type, data; the number of an event is larger than those before it */

static long next_event(long seen, int *gpu, u64 *type, u64 *data)
{
    long best = 0;
    for (int i = 0; i < n_entries; i++) {
        long number = strncmp(entries[i].key, "event.", 6) ? 0 : atol(entries[i].key + 6);
        if (number > seen && (!best || number < best)
            && sscanf(entries[i].value, "%d %llu %llu", gpu, type, data) == 3)
            best = number;
    }
    if (best)
        sscanf(find("event.%ld", best), "%d %llu %llu", gpu, type, data);
    return best;
}

int nvmlEventSetCreate(EventSet **out)
{
    int gpu;
    u64 type, data;
    ENTER(NULL);
    *out = calloc(1, sizeof **out);
    for (long number; (number = next_event((*out)->seen, &gpu, &type, &data));)
        (*out)->seen = number; /* what happened before is not told */
    return leave(OK);
}

int nvmlEventSetFree(EventSet *set)
{
    ENTER(NULL);
    free(set);
    return leave(OK);
}

int nvmlDeviceGetSupportedEventTypes(Handle *device, u64 *out)
{
    ENTER(device);
    *out = number_or(find("gpu%d.events", device->gpu), 0x1f);
    return leave(OK);
}

int nvmlDeviceRegisterEvents(Handle *device, u64 types, EventSet *set)
{
    ENTER(device);
    u64 supported = number_or(find("gpu%d.events", device->gpu), 0x1f);
    if (types & ~supported)
        return leave(NOT_SUPPORTED);
    set->registered |= 1u << device->gpu;
    return leave(OK);
}

int nvmlEventSetWait_v2(EventSet *set, Event *out, unsigned timeout_ms)
{
    u64 deadline = monotonic_us() + (u64)timeout_ms * 1000;
    for (;;) {
        int gpu;
        u64 type, data;
        int trouble = enter(__func__, NULL);
        if (trouble)
            return trouble;
        long number = next_event(set->seen, &gpu, &type, &data);
        if (number) {
            set->seen = number;
            if (gpu >= 0 && gpu < MAX_GPUS && set->registered >> gpu & 1) {
                *out = (Event){&gpus[gpu], type, data, 0xffffffff, 0xffffffff};
                return leave(OK);
            }
        }
        leave(OK);
        if (!number && monotonic_us() >= deadline)
            return TIMED_OUT;
        if (!number)
            sleep_s(0.005);
    }
}

/* -- GPM: "gpu0.gpm.5 = 30.0" is what metric 5 is between two samples, as the file says at the second */

int nvmlGpmQueryDeviceSupport(Handle *device, GpmSupport *out)
{
    ENTER(device);
    out->supported = (unsigned)number_or(find("gpu%d.gpm", device->gpu), 0);
    return leave(OK);
}

int nvmlGpmSampleAlloc(Sample **out)
{
    ENTER(NULL);
    *out = calloc(1, sizeof **out);
    return leave(*out ? OK : UNKNOWN);
}

int nvmlGpmSampleFree(Sample *sample)
{
    ENTER(NULL);
    free(sample);
    return leave(OK);
}

static int sample(const Handle *device, const char *slice, Sample *out)
{
    if (!number_or(find("gpu%d.gpm", device->gpu), 0))
        return leave(NOT_SUPPORTED);
    out->device = *device;
    out->at_us = monotonic_us();
    for (int id = 0; id < 512; id++) {
        const char *text = find("gpu%d.%sgpm.%d", device->gpu, slice, id);
        out->known[id] = text != NULL;
        out->values[id] = text ? atof(text) : 0;
    }
    return leave(OK);
}

int nvmlGpmSampleGet(Handle *device, Sample *out)
{
    ENTER(device);
    return sample(device, "", out);
}

int nvmlGpmMigSampleGet(Handle *device, unsigned gpu_instance, Sample *out)
{
    char slice[32];
    ENTER(device);
    snprintf(slice, sizeof slice, "gi%u.", gpu_instance);
    return sample(device, slice, out);
}

int nvmlGpmMetricsGet(Metrics *metrics)
{
    ENTER(NULL);
    const Sample *first = metrics->first, *second = metrics->second;
    if (!first || !second || !first->at_us || second->at_us <= first->at_us || first->device.gpu != second->device.gpu)
        return leave(INVALID_ARGUMENT);
    for (unsigned i = 0; i < metrics->n; i++) {
        Metric *metric = &metrics->metrics[i];
        int known = metric->id < 512 && second->known[metric->id];
        metric->result = known ? OK : NOT_SUPPORTED;
        metric->value = known ? second->values[metric->id] : 0;
    }
    return leave(OK);
}
