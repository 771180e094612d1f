-- Writes numbers as fast as the pipe takes them.
local n = 0
while true do
    n = n + 1
    io.stdout:write(n, "\n")
end
