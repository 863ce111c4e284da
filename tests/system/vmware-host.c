/*
 * Plays the host and the daemon for the backup plug-in of open-vm-tools.
 *
 *   vmware-host PLUGIN [-c TOOLS.CONF] [-s COMMAND] [-a frozen|SECONDS]
 *
 * PLUGIN is libvmbackup.so as a distribution ships it. What runs the scripts,
 * in which order, with which words, and what it makes of their exit codes is
 * therefore VMware's own code; this file sends what an ESXi host sends and
 * takes what it is told:
 *
 *   host  -> vmbackup.start
 *   guest -> reset, then the scripts' freeze, then prov.snapshotCommit
 *   host     takes its snapshot (COMMAND), -> vmbackup.snapshotDone
 *   guest -> the scripts' thaw, then req.done
 *
 * -a sends vmbackup.abort instead: "frozen", in place of the snapshot, or
 * after SECONDS, while a freeze is under way.
 *
 * A line for each message goes to stdout. Exit code: 0 the guest was quiesced
 * and all went well, 1 it said otherwise, 2 no test took place.
 *
 * The declarations below are those of lib/include/vmware/tools/{plugin,
 * guestrpc,threadPool}.h of open-vm-tools, API version 1.
 */
#include <glib-object.h>
#include <gmodule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { API_V1 = 1, APP_GUESTRPC = 1 };

typedef struct App {
    int version;
    const gchar *name;
    gboolean is_vmware;
    int error_code;
    GMainLoop *loop;
    gpointer channel;
    GKeyFile *config;
    int block_fd, uinput_fd;
    const char **environment;
    gpointer service;
    void (*register_property)(gpointer service, gpointer property);
} App;

typedef struct {
    const char *name;
    const char *arguments;
    size_t length;
    char *result;
    size_t result_length;
    gboolean free_result;
    gpointer app;
    gpointer data;
} Request;

typedef struct {
    const char *name;
    gboolean (*answer)(Request *);
    gpointer data, xdr_in, xdr_out;
    size_t xdr_in_size;
} Handler;

typedef struct { int type; GArray *handlers; } Registration;
typedef struct { const char *name; GArray *registrations; gpointer on_error, own; } Plugin;

typedef void (*Work)(App *, gpointer);
typedef struct {
    guint (*submit)(App *, Work, gpointer, GDestroyNotify);
    void (*cancel)(guint);
    gboolean (*start)(App *, const gchar *, Work, Work, gpointer, GDestroyNotify);
} Pool;

static App app = { .version = API_V1, .name = "vmsvc", .is_vmware = TRUE, .block_fd = -1, .uinput_fd = -1 };
static GArray *handlers;
static const char *snapshot_command;
static gboolean abort_when_frozen;
static gboolean went_wrong;

/* The daemon's pool of threads, which it offers as a property of its service. */

typedef struct { Work work; gpointer data; GDestroyNotify done; } Task;

static gpointer run_task(gpointer given)
{
    Task *task = given;
    task->work(&app, task->data);
    if (task->done)
        task->done(task->data);
    g_free(task);
    return NULL;
}

static guint pool_submit(App *a, Work work, gpointer data, GDestroyNotify done)
{
    static guint last;
    Task *task = g_new(Task, 1);
    (void)a;
    *task = (Task){ work, data, done };
    g_thread_unref(g_thread_new("task", run_task, task));
    return ++last;
}

static void pool_cancel(guint id) { (void)id; }

static gboolean pool_start(App *a, const gchar *name, Work work, Work interrupt, gpointer data, GDestroyNotify done)
{
    (void)name, (void)interrupt;
    return pool_submit(a, work, data, done) != 0;
}

static Pool pool = { pool_submit, pool_cancel, pool_start };

typedef GObject Service;
typedef GObjectClass ServiceClass;
G_DEFINE_TYPE(Service, service, G_TYPE_OBJECT)

static void service_get(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    (void)object, (void)id, (void)spec;
    g_value_set_pointer(value, &pool);
}

static void service_init(Service *service) { (void)service; }

static void service_class_init(ServiceClass *class)
{
    class->get_property = service_get;
    g_object_class_install_property(class, 1,
        g_param_spec_pointer("tcs_prop_thread_pool", "", "", G_PARAM_READABLE));
}

/* The host's side. */

static gboolean send_to_guest(const char *name, const char *arguments, size_t length)
{
    for (guint i = 0; i < handlers->len; i++) {
        Handler *handler = &g_array_index(handlers, Handler, i);
        if (strcmp(handler->name, name) == 0) {
            Request request = { .name = name, .arguments = arguments, .length = length, .app = &app, .data = handler->data };
            gboolean good = handler->answer(&request);
            printf("host  -> %s: %s %s\n", name, good ? "accepted" : "refused", request.result ? request.result : "");
            return good;
        }
    }
    printf("host  -> %s: the plug-in does not know it\n", name);
    return FALSE;
}

static gboolean take_snapshot(gpointer unused)
{
    (void)unused;
    if (abort_when_frozen) {
        send_to_guest("vmbackup.abort", "", 0);
        return G_SOURCE_REMOVE;
    }
    if (snapshot_command && system(snapshot_command) != 0) {
        printf("host: the snapshot command failed\n");
        went_wrong = TRUE;
    }
    send_to_guest("vmbackup.snapshotDone", "", 0);
    return G_SOURCE_REMOVE;
}

static gboolean abort_now(gpointer unused)
{
    (void)unused;
    send_to_guest("vmbackup.abort", "", 0);
    return G_SOURCE_REMOVE;
}

static gboolean finish(gpointer unused)
{
    (void)unused;
    g_main_loop_quit(app.loop);
    return G_SOURCE_REMOVE;
}

/* Stands in front of libvmtools' function of that name: what the guest says. */
gboolean RpcChannel_Send(gpointer channel, const char *data, size_t length, char **result, size_t *result_length)
{
    (void)channel, (void)length;
    const char *what = strncmp(data, "vmbackup.eventSet ", 18) == 0 ? data + 18 : data;
    if (result)
        *result = NULL;
    if (result_length)
        *result_length = 0;
    if (strncmp(what, "req.keepAlive", 13) == 0)
        return TRUE;
    printf("guest -> %s\n", what);
    if (strncmp(what, "prov.snapshotCommit", 19) == 0)
        g_timeout_add(20, take_snapshot, NULL);
    else if (strncmp(what, "req.error", 9) == 0 || strncmp(what, "req.aborted", 11) == 0)
        went_wrong = TRUE;
    else if (strncmp(what, "req.done", 8) == 0)
        g_timeout_add(20, finish, NULL);
    return TRUE;
}

static int no_test(const char *why)
{
    fprintf(stderr, "vmware-host: %s\n", why);
    return 2;
}

int main(int argc, char **argv)
{
    const char *config = "/etc/vmware-tools/tools.conf";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2)
        return no_test("name the plug-in");
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "-c") == 0)
            config = argv[i + 1];
        else if (strcmp(argv[i], "-s") == 0)
            snapshot_command = argv[i + 1];
        else if (strcmp(argv[i], "-a") == 0 && strcmp(argv[i + 1], "frozen") == 0)
            abort_when_frozen = TRUE;
        else if (strcmp(argv[i], "-a") == 0)
            g_timeout_add(1000 * atof(argv[i + 1]), abort_now, NULL);
        else
            return no_test("unknown option");
    }
    app.loop = g_main_loop_new(NULL, FALSE);
    app.channel = &app;
    app.config = g_key_file_new();
    g_key_file_load_from_file(app.config, config, G_KEY_FILE_NONE, NULL);
    app.service = g_object_new(service_get_type(), NULL);

    Plugin *(*load)(App *);
    GModule *module = g_module_open(argv[1], G_MODULE_BIND_LOCAL);
    if (!module)
        return no_test(g_module_error());
    if (!g_module_symbol(module, "ToolsOnLoad", (gpointer *)&load))
        return no_test("the plug-in has no ToolsOnLoad");
    Plugin *plugin = load(&app);
    for (guint i = 0; plugin && i < plugin->registrations->len; i++) {
        Registration *one = &g_array_index(plugin->registrations, Registration, i);
        if (one->type == APP_GUESTRPC)
            handlers = one->handlers;
    }
    if (!handlers)
        return no_test("the plug-in answers no requests");
    /* "1 ": with manifest, all volumes. */
    if (!send_to_guest("vmbackup.start", "1 ", 3))
        return 1;
    g_main_loop_run(app.loop);
    return went_wrong;
}
