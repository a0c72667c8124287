%% @doc Names of Erlang nodes in a directory instead of the port mapper daemon: nothing of a test outlives
%% it, and no test meets the nodes of another one. For `-epmd_module'; the directory is PRIMER_TEST_EPMD.
-module(primer_test_epmd).

-export([start_link/0, register_node/2, register_node/3, names/1, address_please/3]).
-export([port_please/2, port_please/3, listen_port_please/2]).

%% The version of the distribution's protocol.
-define(VERSION, 6).

start_link() -> ignore.

register_node(Name, Port) -> register_node(Name, Port, inet).

register_node(Name, Port, _Family) ->
    {ok, File} = opened(Name, write),
    ok = file:write(File, integer_to_binary(Port)),
    ok = file:close(File),
    {ok, erlang:unique_integer([positive]) rem 1_000 + 4}.

names(_Host) -> {error, address}.

address_please(_Name, _Host, _Family) -> {ok, {127, 0, 0, 1}}.

port_please(Name, Host) -> port_please(Name, Host, infinity).

port_please(Name, _Host, _Timeout) ->
    case opened(Name, read) of
        {ok, File} ->
            {ok, Port} = file:read(File, 10),
            ok = file:close(File),
            {port, binary_to_integer(Port), ?VERSION};
        {error, _} ->
            noport
    end.

listen_port_please(_Name, _Host) -> {ok, 0}.

%% Raw: a node has its name before it has a file server.
opened(Name, Mode) -> file:open(filename:join(os:getenv("PRIMER_TEST_EPMD"), Name), [Mode, raw, binary]).

