/* Performs Windows calls for the tests, by name, over stdin and stdout.
 *
 * Request:  u16 length of "dll.Function", the name, u8 count, then for each argument 'i' and 8 bytes, or 'b', u32 size
 * and bytes. Reply: 8 bytes of result, u32 last error, then the bytes of every 'b' argument as the call left them.
 * The "dll" named "bridge" is this program: a window in front, and a low-level hook that notes what arrives. */
#include <fcntl.h>
#include <io.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

typedef uint64_t (*Function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                             uint64_t, uint64_t, uint64_t);

struct Note { uint32_t kind, code, flags, message; uint64_t extra; };
static struct Note notes[4096];
static volatile LONG note_count;
static HANDLE hook_ready;

static LRESULT CALLBACK on_key(int code, WPARAM message, LPARAM data) {
    KBDLLHOOKSTRUCT *k = (KBDLLHOOKSTRUCT *)data;
    if (code == HC_ACTION && note_count < 4096) {
        struct Note note = {1, k->scanCode, k->flags, (uint32_t)message, k->dwExtraInfo};
        notes[note_count++] = note;
    }
    return CallNextHookEx(NULL, code, message, data);
}

static LRESULT CALLBACK on_mouse(int code, WPARAM message, LPARAM data) {
    MSLLHOOKSTRUCT *m = (MSLLHOOKSTRUCT *)data;
    if (code == HC_ACTION && note_count < 4096) {
        struct Note note = {0, m->mouseData, m->flags, (uint32_t)message, m->dwExtraInfo};
        notes[note_count++] = note;
    }
    return CallNextHookEx(NULL, code, message, data);
}

static DWORD WINAPI hook_thread(void *unused) {
    MSG message;
    SetWindowsHookExW(WH_KEYBOARD_LL, on_key, GetModuleHandleW(NULL), 0);
    SetWindowsHookExW(WH_MOUSE_LL, on_mouse, GetModuleHandleW(NULL), 0);
    PeekMessageW(&message, NULL, 0, 0, PM_NOREMOVE);
    SetEvent(hook_ready);
    while (GetMessageW(&message, NULL, 0, 0) > 0) DispatchMessageW(&message);
    return 0;
}

__declspec(dllexport) uint64_t HookStart(void) {
    hook_ready = CreateEventW(NULL, TRUE, FALSE, NULL);
    CreateThread(NULL, 0, hook_thread, NULL, 0, NULL);
    return WaitForSingleObject(hook_ready, 5000) == WAIT_OBJECT_0;
}

__declspec(dllexport) uint64_t HookTake(struct Note *out, uint64_t room) {
    uint64_t n = (uint64_t)note_count < room ? (uint64_t)note_count : room;
    memcpy(out, notes, n * sizeof(struct Note));
    note_count = 0;
    return n;
}

/* A window of another thread: what the player would have in front. */
static volatile HWND front;
static DWORD WINAPI window_thread(void *title) {
    MSG message;
    front = CreateWindowExW(0, L"STATIC", title, WS_VISIBLE | WS_POPUP, 20, 30, 320, 200, NULL, NULL, NULL, NULL);
    SetForegroundWindow(front);
    SetFocus(front);
    SetEvent(hook_ready);
    while (GetMessageW(&message, NULL, 0, 0) > 0) { TranslateMessage(&message); DispatchMessageW(&message); }
    return 0;
}

__declspec(dllexport) uint64_t OpenFront(wchar_t *title) {
    hook_ready = CreateEventW(NULL, TRUE, FALSE, NULL);
    CreateThread(NULL, 0, window_thread, _wcsdup(title), 0, NULL);
    WaitForSingleObject(hook_ready, 5000);
    return (uint64_t)(uintptr_t)front;
}

static DWORD hotkey_error;
static DWORD WINAPI rival_thread(void *keys) {
    MSG message;
    hotkey_error = RegisterHotKey(NULL, 1, (UINT)((uintptr_t)keys >> 16), (UINT)((uintptr_t)keys & 0xFFFF)) ? 0 : GetLastError();
    SetEvent(hook_ready);
    while (GetMessageW(&message, NULL, 0, 0) > 0) {}
    return 0;
}

/* Another owner takes a hotkey: modifiers << 16 | virtual key. */
__declspec(dllexport) uint64_t RivalHotkey(uint64_t keys) {
    hook_ready = CreateEventW(NULL, TRUE, FALSE, NULL);
    CreateThread(NULL, 0, rival_thread, (void *)(uintptr_t)keys, 0, NULL);
    WaitForSingleObject(hook_ready, 5000);
    return hotkey_error;
}

static void must_read(void *into, size_t size) {
    if (size && fread(into, 1, size, stdin) != size) exit(0);
}

int main(void) {
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    for (;;) {
        uint16_t length;
        uint8_t count;
        char name[256] = {0};
        uint64_t args[12] = {0};
        void *buffers[12] = {0};
        uint32_t sizes[12] = {0};
        must_read(&length, 2);
        if (length > 255) exit(2);
        must_read(name, length);
        must_read(&count, 1);
        if (count > 12) exit(2);
        for (int i = 0; i < count; i++) {
            char type;
            must_read(&type, 1);
            if (type == 'i') { must_read(&args[i], 8); continue; }
            must_read(&sizes[i], 4);
            buffers[i] = malloc(sizes[i] ? sizes[i] : 1);
            must_read(buffers[i], sizes[i]);
            args[i] = (uint64_t)(uintptr_t)buffers[i];
        }
        char *dot = strchr(name, '.');
        if (!dot) exit(2);
        *dot = 0;
        HMODULE module = strcmp(name, "bridge") ? LoadLibraryA(name) : GetModuleHandleW(NULL);
        Function function = (Function)(void *)GetProcAddress(module, dot + 1);
        if (!function) { fprintf(stderr, "no function %s in %s\n", dot + 1, name); exit(3); }
        SetLastError(0);
        uint64_t result = function(args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7], args[8],
                                   args[9], args[10], args[11]);
        uint32_t error = GetLastError();
        fwrite(&result, 8, 1, stdout);
        fwrite(&error, 4, 1, stdout);
        for (int i = 0; i < count; i++) {
            if (!buffers[i]) continue;
            fwrite(buffers[i], 1, sizes[i], stdout);
            free(buffers[i]);
        }
        fflush(stdout);
    }
}
