/* Judges out/count.txt in a process of its own: exit status 0 means that the count is right. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    char text[16] = {0};
    int file = open("out/count.txt", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof text - 1) < 0 || close(file) != 0) {
        perror("out/count.txt");
        return 1;
    }
    if (strcmp(text, "78498\n") != 0) {
        fputs("wrong count\n", stderr);
        return 1;
    }
    puts("the count is right");
    return 0;
}
